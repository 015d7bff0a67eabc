package kindtest

import "strings"

// Slashes are the other ways to write a path in which one of its slashes, or each of
// them, is written several times.
func Slashes(path string) (variants []string) {
	for i := range len(path) {
		if path[i] == '/' {
			variants = append(variants, path[:i]+"/"+path[i:], path[:i]+"//"+path[i:])
		}
	}
	return append(variants, strings.ReplaceAll(path, "/", "//"), strings.ReplaceAll(path, "/", "///"))
}
