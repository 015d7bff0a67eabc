package packument

import "unicode/utf8"

// MaxFile is the longest file name, version or tag, in bytes: a name, a version
// of 256 bytes (the limit of semver) and an extension.
const MaxFile = 512

// FileName reports whether decoded text can name a file, a version or a tag
// below a package. A "%" is refused: no real one has it, and a master that
// decodes twice would see something else than we keyed.
func FileName[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > MaxFile {
		return false
	}
	dots, ascii := 0, true
	for i := range len(s) {
		c := s[i]
		switch {
		case c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '%':
			return false
		case c == '.':
			dots++
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if dots == len(s) && dots <= 2 {
		return false
	}
	return ascii || utf8.ValidString(string(s))
}
