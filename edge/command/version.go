package command

import (
	_ "embed"
	"runtime/debug"
	"strings"

	"pkgedge/edge/admin"
)

// release is the version of the program, as CHANGELOG.md has it. Packages and images are named
// by the same file.
//
//go:embed VERSION
var release string

// version names the build of this program, in words.
func version() string { return wordsOf(build()) }

// build names the build of this program.
func build() admin.Build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(strings.TrimSpace(release), info)
}

// buildOf names a build: its version, its commit and its Go. info may be nil.
func buildOf(version string, info *debug.BuildInfo) admin.Build {
	if info == nil {
		return admin.Build{Version: version}
	}
	b := admin.Build{Version: version, Go: info.GoVersion}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " (modified)"
		}
	}
	b.Revision += modified
	return b
}

func wordsOf(b admin.Build) string {
	return strings.Join(strings.Fields(b.Version+" "+b.Revision+" "+b.Go), " ")
}
