package vault

import (
	"encoding/hex"
	"strings"
)

// escape makes the name of a key of the bucket, which has letters, digits and few signs: another
// byte is "=" and two hexadecimal digits, a dot too, for dots part the subjects of messages.
func escape(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('=')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	return b.String()
}

// unescape undoes escape, and reports whether the name is one that escape makes.
func unescape(name string) (string, bool) {
	parts := strings.Split(name, "=")
	for i, p := range parts[1:] {
		c, err := hex.DecodeString(p[:min(2, len(p))])
		if err != nil || len(c) != 1 {
			return "", false
		}
		parts[i+1] = string(c) + p[2:]
	}
	key := strings.Join(parts, "")
	return key, escape(key) == name
}
