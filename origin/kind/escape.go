package kind

import "unicode/utf8"

const hexDigits = "0123456789ABCDEF"

// CleanQuery makes a raw query safe to send on. Backslashes and bytes outside ASCII are
// escaped; bytes that could end the request line or the query are refused: a query of
// HTTP/2 may have spaces, and the rest would be the version of the request to a master.
func CleanQuery(q string) (clean string, ok bool) {
	unsafe := 0
	for i := range len(q) {
		switch c := q[i]; {
		case c <= ' ' || c == 0x7f || c == '#':
			return "", false
		case c >= utf8.RuneSelf || c == '\\':
			unsafe++
		}
	}
	if unsafe == 0 {
		return q, true
	}
	b := make([]byte, 0, len(q)+2*unsafe)
	for i := range len(q) {
		if c := q[i]; c >= utf8.RuneSelf || c == '\\' {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b), true
}

// EscapedByte is the byte that the percent escape at the beginning of s stands for (RFC 3986
// section 2.1). ok is false where there is none.
func EscapedByte(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return unhex(s[1])<<4 | unhex(s[2]), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}
