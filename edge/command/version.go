package command

import (
	"cmp"
	"runtime/debug"
	"strings"

	"pkgedge/edge/admin"
)

// version names the build of this program, in words.
func version() string { return wordsOf(build()) }

// build names the build of this program.
func build() admin.Build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info)
}

// buildOf names a build: its version, its commit and its Go. info may be nil.
func buildOf(info *debug.BuildInfo) admin.Build {
	if info == nil {
		return admin.Build{}
	}
	b := admin.Build{Version: info.Main.Version, Go: info.GoVersion}
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
	return cmp.Or(strings.Join(strings.Fields(b.Version+" "+b.Revision+" "+b.Go), " "), "(unknown)")
}
