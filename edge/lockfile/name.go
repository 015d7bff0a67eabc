package lockfile

import (
	"net/url"
	"strings"
)

// maxName is the longest package name, maxVersion the longest version and
// maxFile the longest file name, in bytes.
const (
	maxName    = 255
	maxVersion = 256
	maxFile    = 255
)

// ValidName reports whether a registry may know a package of that name. It
// follows the registry's rule for names of old packages.
func ValidName(name string) bool {
	if len(name) > maxName {
		return false
	}
	if scope, base, found := strings.Cut(name, "/"); found {
		return strings.HasPrefix(scope, "@") && label(scope[1:]) && label(base)
	}
	return label(name) && name[0] != '_' && !strings.EqualFold(name, "node_modules")
}

// label reports whether s is a legal half of a name: no byte of it needs
// escaping in a URL, and it is no dot segment.
func label(s string) bool {
	if s == "" || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("-_.!~*'()", s[i]) < 0 {
			return false
		}
	}
	return true
}

// validVersion reports whether s has the alphabet of a semantic version.
func validVersion(s string) bool {
	if s == "" || len(s) > maxVersion || s[0] < '0' || s[0] > '9' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("-.+", s[i]) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// validFile reports whether s can be one segment of a path.
func validFile(s string) bool {
	if s == "" || len(s) > maxFile || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '/' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// registryFile reports whether a tarball's URL is one that a registry gives for
// the package: the usual {name}/-/{file}, or the download/ of a few others. The
// file is empty where only the registry that wrote the URL knows it by that name.
func registryFile(name, tarball string) (file string, ok bool) {
	u, err := url.Parse(tarball)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	if _, rest, found := strings.Cut(u.Path, "/"+name+"/-/"); found {
		if validFile(rest) {
			file = rest
		}
		return file, true
	}
	return "", strings.Contains(u.Path, "/"+name+"/download/") || strings.Contains(u.Path, "/download/"+name+"/")
}

// cutSpec splits "name@rest" at the first "@" after a scope's.
func cutSpec(spec string) (name, rest string, ok bool) {
	if spec == "" {
		return "", "", false
	}
	at := strings.IndexByte(spec[1:], '@')
	if at < 0 {
		return "", "", false
	}
	return spec[:at+1], spec[at+2:], true
}
