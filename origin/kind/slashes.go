package kind

import "strings"

// JoinSlashes is a path in which each row of slashes is one. A client whose base URL
// ends with a slash sends "//left-pad", and registries take it for "/left-pad". It
// returns the path itself where there is no such row.
func JoinSlashes(path string) string {
	i := strings.Index(path, "//")
	if i < 0 {
		return path
	}
	b := append(make([]byte, 0, len(path)), path[:i]...)
	for ; i < len(path); i++ {
		if path[i] != '/' || len(b) == 0 || b[len(b)-1] != '/' {
			b = append(b, path[i])
		}
	}
	return string(b)
}
