package files

import (
	"strings"

	"pkgedge/origin/kind"
)

// faultOf returns the reason to refuse an escaped path, "" for none.
//
// A path that leads above the root would be one beside the master's base path, which
// the operator has not offered. A server may take an escaped dot or slash for a plain
// one (RFC 3986 section 6.2.2), a backslash for a slash, and the name before a semicolon
// for the whole of it, so that these count here too. Every dot segment is refused, also one
// that stays below the root: clients remove them before they send a path (section 5.2.4),
// and the key of a stored response must be that of one resource. A path that is escaped
// twice is the master's: it decodes once.
func faultOf(path string) string {
	if path == "" || path[0] != '/' {
		return "the path must start with a slash"
	}
	if plain(path) {
		return ""
	}
	dots := -1 // of the current segment; -1 when it has anything else
	last := byte(0)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			escaped, ok := kind.EscapedByte(path[i:])
			if !ok {
				return "the path has a broken percent escape"
			}
			c = escaped
			i += 2
		case c <= ' ' || c >= 0x7f || c == '?' || c == '#':
			return "the path has a byte that must be escaped"
		}
		switch {
		case c < ' ' || c == 0x7f:
			return "the path has a control byte"
		case c == '\\':
			return "the path has a backslash"
		case overlong(last, c):
			return "the path has an overlong character" // which old servers take for a dot or a slash
		case c == '/' || c == ';':
			if dots == 1 || dots == 2 {
				return "the path has a dot segment"
			}
			if dots = -1; c == '/' {
				dots = 0
			}
		case c == '.' && dots >= 0:
			dots++
		default:
			dots = -1
		}
		last = c
	}
	if dots == 1 || dots == 2 {
		return "the path has a dot segment"
	}
	return ""
}

// plain reports whether a path has nothing that needs a closer look, as most have.
func plain(path string) bool {
	for i := range len(path) {
		if c := path[i]; c == '%' || c == ';' || c == '\\' || c <= ' ' || c >= 0x7f || c == '?' || c == '#' {
			return false
		}
	}
	return !strings.Contains(path, "/.")
}

// overlong reports whether two bytes begin a character in more bytes than it has (RFC
// 3629 section 3).
func overlong(first, second byte) bool {
	switch first {
	case 0xc0, 0xc1:
		return second&0xc0 == 0x80
	case 0xe0:
		return second&0xe0 == 0x80
	case 0xf0:
		return second&0xf0 == 0x80
	}
	return false
}
