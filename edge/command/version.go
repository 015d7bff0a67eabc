package command

import (
	"runtime/debug"
	"strings"
)

// version names the build of this program.
func version() string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
}

// versionOf names a build: its version, its commit and its Go. info may be nil.
func versionOf(info *debug.BuildInfo) string {
	if info == nil {
		return "(unknown)"
	}
	words := []string{info.Main.Version}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			words = append(words, s.Value)
		case s.Key == "vcs.modified" && s.Value == "true":
			words = append(words, "(modified)")
		}
	}
	return strings.TrimSpace(strings.Join(append(words, info.GoVersion), " "))
}
