package npm

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"pkgedge/origin/kind"
)

// maxPath is the longest path that is routed, in bytes. It leaves room for the
// signed tokens that logout puts into one.
const maxPath = 8 << 10

const hexDigits = "0123456789ABCDEF"

// fault says why a path cannot be routed. The zero value means that it can.
type fault struct {
	status int
	reason string
}

// plainPath is a raw path without the slashes that say nothing: registries answer
// /left-pad/ and //left-pad as they do /left-pad.
func plainPath(p string) string {
	if strings.Contains(p, "//") {
		p = kind.JoinSlashes(p)
	}
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

// checkPath looks at a plain path once, before anything is taken from it. The code
// behind it may rely on sound escapes, no control bytes and no empty or dot
// segments, written plainly or escaped.
func checkPath(p string) fault {
	switch {
	case p == "" || p[0] != '/':
		return fault{http.StatusBadRequest, "the path must start with a slash"}
	case len(p) > maxPath:
		return fault{http.StatusRequestURITooLong, "the path is too long"}
	case p == "/":
		return fault{}
	}
	dots, ascii := -1, true // dots: of the current segment, -1 if it has anything else
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '/':
			if dots == 1 || dots == 2 {
				return fault{http.StatusBadRequest, "the path has a dot segment"}
			}
			dots = 0
			continue
		case c == '%':
			escaped, ok := kind.EscapedByte(p[i:])
			if !ok {
				return fault{http.StatusBadRequest, "the path has a broken percent escape"}
			}
			c = escaped
			i += 2
		case c == ' ' || c == '?' || c == '#':
			return fault{http.StatusBadRequest, "the path has a byte that must be escaped"}
		}
		switch {
		case c < ' ' || c == 0x7f:
			return fault{http.StatusBadRequest, "the path has a control byte"}
		case c == '\\':
			return fault{http.StatusBadRequest, "the path has a backslash"}
		case c == '/' || c == ';': // escaped: a separator all the same to a careless reader, which may take ..; for ..
			if dots == 1 || dots == 2 {
				return fault{http.StatusBadRequest, "the path has a dot segment"}
			}
			if dots = -1; c == '/' {
				dots = 0
			}
		case c == '.' && dots >= 0:
			dots++
		default:
			dots = -1
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if dots == 1 || dots == 2 {
		return fault{http.StatusBadRequest, "the path has a dot segment"}
	}
	if !ascii && !utf8.ValidString(unescape(p)) {
		return fault{http.StatusBadRequest, "the path is not UTF-8"}
	}
	return fault{}
}

// cutSegment splits a path without its leading slash after the first segment.
// The rest is empty or starts with a slash.
func cutSegment(p string) (segment, rest string) {
	if i := strings.IndexByte(p, '/'); i >= 0 {
		return p[:i], p[i:]
	}
	return p, ""
}

// cutEscapedSlash splits a segment around its first "%2f", of either case.
func cutEscapedSlash(segment string) (before, after string, found bool) {
	for i := 0; i+2 < len(segment); i++ {
		if segment[i] == '%' && segment[i+1] == '2' && segment[i+2]|0x20 == 'f' {
			return segment[:i], segment[i+3:], true
		}
	}
	return segment, "", false
}

// unescape decodes the percent escapes of s, once. Escapes must be sound. It
// returns s itself when there are none.
func unescape(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		c, _ := kind.EscapedByte(s[i:])
		b = append(b, c)
		i += 2
	}
	return string(b)
}

// escape writes decoded text as one path segment. A pchar of RFC 3986 section 3.3
// stands as it is, the rest is escaped; a slash in lower case, as npm does.
// It returns s itself when nothing needs escaping.
func escape(s string) string {
	i := 0
	for i < len(s) && segmentByte(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)+8), s[:i]...)
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case segmentByte(c):
			b = append(b, c)
		case c == '/':
			b = append(b, "%2f"...)
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// segmentByte reports whether c is an unescaped pchar of RFC 3986.
func segmentByte(c byte) bool {
	if nameByte(c) {
		return true
	}
	switch c {
	case '$', '&', '+', ',', ';', '=', ':', '@':
		return true
	}
	return false
}

// canonical escapes every segment of a checked raw path anew.
func canonical(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for path != "" {
		var segment string
		segment, path = cutSegment(path[1:])
		b.WriteByte('/')
		b.WriteString(escape(unescape(segment)))
	}
	return b.String()
}

// hasParameter reports whether a raw query names a parameter, with or without a
// value. The name must be written without escapes.
func hasParameter(query, name string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, _, _ := strings.Cut(pair, "="); key == name {
			return true
		}
	}
	return false
}

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

// scopeKey is the scope of a name as [kind.Route] has it: in lower case, since a
// site that keeps @acme to itself means @Acme too.
func (n name) scopeKey() string { return strings.ToLower(n.scope) }

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
