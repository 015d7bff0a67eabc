package npm

import (
	"strings"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

func tarballRoute(n name, file string) kind.Route {
	full := n.String()
	r := split("tarball/"+full+"/"+file+"/"+full+"/-/"+escape(file), endpointTarball, n, 1+len(file))
	r.Class = kind.File
	return r
}

// Some registries name the tarballs of a scoped package with the scope:
// /@s/n/-/@s/n-1.0.0.tgz, or with %2f for the last slash. Such a file is another
// one than /@s/n/-/n-1.0.0.tgz, and so are the two spellings: a master that knows
// one may not know the others, and answers to the one in its packument.

// scopedFile returns the file name in a raw path "@s/n-1.0.0.tgz" whose scope is
// that of the package, and "" for any other path.
func scopedFile(n name, path string) (file string) {
	scope, file, ok := cutScopedFile(path)
	if !ok || n.scope == "" || unescape(scope) != n.scope {
		return ""
	}
	if file = unescape(file); !packument.FileName(file) {
		return ""
	}
	return file
}

func cutScopedFile(path string) (scope, file string, ok bool) {
	if scope, file, ok = strings.Cut(path, "/"); ok {
		return scope, file, true
	}
	return cutEscapedSlash(path)
}

// scopedTarballRoute routes a path that has a scopedFile.
func scopedTarballRoute(n name, path string) kind.Route {
	slash := "%2f"
	if strings.Contains(path, "/") {
		slash = "/"
	}
	full, file := n.String(), scopedFile(n, path)
	key := n.scope + slash + file
	r := split("tarball/"+full+"/"+key+"/"+full+"/-/"+n.scope+slash+escape(file), endpointTarball, n, 1+len(key))
	r.Class = kind.File
	return r
}

// tarballsNamed are all stored tarballs that a file name may mean.
func tarballsNamed(n name, file string) []kind.Invalidation {
	marks := []kind.Invalidation{{Scope: kind.OneKey, Name: tarballRoute(n, file).Key}}
	if n.scope != "" {
		for _, slash := range []string{"/", "%2f"} {
			r := scopedTarballRoute(n, n.scope+slash+escape(file))
			marks = append(marks, kind.Invalidation{Scope: kind.OneKey, Name: r.Key})
		}
	}
	return marks
}
