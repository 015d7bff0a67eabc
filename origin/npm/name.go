package npm

import "strings"

// maxName is the longest package name, in bytes. New names may have 214; older
// ones are a little longer, and 255 is the most that a file system can hold.
const maxName = 255

// name is a package name, decoded and checked. All its bytes may stand
// unescaped in a path segment and in a JSON string.
type name struct {
	scope string // with its "@"; empty for an unscoped package
	base  string
}

func (n name) String() string {
	if n.scope == "" {
		return n.base
	}
	return n.scope + "/" + n.base
}

// escaped is the name as one path segment, the way npm itself writes it.
func (n name) escaped() string {
	if n.scope == "" {
		return n.base
	}
	return n.scope + "%2f" + n.base
}

// cutName takes a package name off the front of a checked path that has lost
// its leading slash. The rest is empty or starts with a slash.
func cutName(path string) (n name, rest string, ok bool) {
	first, rest := cutSegment(path)
	if scope, base, found := cutEscapedSlash(first); found {
		n.scope, n.base = unescape(scope), unescape(base)
		return n, rest, n.valid()
	}
	first = unescape(first)
	if !strings.HasPrefix(first, "@") {
		n.base = first
		return n, rest, n.valid()
	}
	if rest == "" {
		return name{}, "", false // a scope alone
	}
	second, rest := cutSegment(rest[1:])
	n.scope, n.base = first, unescape(second)
	return n, rest, n.valid()
}

// parseName reads a whole decoded name, such as "@s/n".
func parseName(s string) (name, bool) {
	n := name{base: s}
	if scope, base, found := strings.Cut(s, "/"); found {
		n = name{scope: scope, base: base}
	}
	return n, n.valid()
}

// valid follows the registry's rule for names of old packages, see
// validForOldPackages of validate-npm-package-name, except that it allows a
// leading "-": the package "-" exists.
func (n name) valid() bool {
	if !label(n.base) {
		return false
	}
	if n.scope != "" {
		return len(n.scope)+1+len(n.base) <= maxName && n.scope[0] == '@' && label(n.scope[1:])
	}
	return len(n.base) <= maxName &&
		n.base[0] != '_' &&
		!strings.EqualFold(n.base, "node_modules") &&
		!strings.EqualFold(n.base, "favicon.ico")
}

// label reports whether s is a legal half of a name: not empty, no leading dot,
// and nothing that encodeURIComponent would escape.
func label(s string) bool {
	if s == "" || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '-', '_', '.', '!', '~', '*', '\'', '(', ')':
		return true
	}
	return false
}
