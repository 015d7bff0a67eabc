package framing

import "bytes"

const (
	errChunk   Error = "a chunk of the body is malformed"
	errTrailer Error = "the trailer section of the body is malformed"
)

const (
	maxLine     = 1 << 10 // bytes of a line before a chunk, or of a trailer
	maxTrailers = 2 << 10 // bytes of all trailers; net/http takes up to twice as much
)

// chunkSize reads the line before a chunk, without its CRLF: hexadecimal digits, and
// extensions, which nobody uses.
func chunkSize(line []byte) (n int64, err error) {
	size, extensions, _ := bytes.Cut(line, []byte(";"))
	if len(size) == 0 || len(size) > 15 || !isText(extensions) {
		return 0, errChunk
	}
	for _, c := range size {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errChunk
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}

// trailer judges a line of the trailer section. A trailer has no say in framing.
func trailer(line []byte) error {
	f, err := parseField(line)
	if err != nil || f.Is("content-length") || f.Is("transfer-encoding") || f.Is("host") || f.Is("trailer") {
		return errTrailer
	}
	return nil
}
