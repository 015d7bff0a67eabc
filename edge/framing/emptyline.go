package framing

// maxEmptyLines is the number of empty lines before a request that are dropped. Old clients
// send one behind a body.
const maxEmptyLines = 8

// emptyLines are those before the next request (RFC 9112 section 2.2). They are dropped:
// net/http takes them only behind a POST, and waits for four bytes before each request but
// the first of a connection, so that its answer depends on the requests that the lane has
// answered.
type emptyLines struct {
	n   int
	cr  bool  // half of one more has come
	err error // of the next head, by its first byte
}

// cut cuts them off the beginning of b.
func (l *emptyLines) cut(b []byte) (rest []byte, err error) {
	for len(b) > 0 && l.end(b[0]) {
		b = b[1:]
	}
	return b, l.err
}

// end takes the next byte, and is false where that is not of an empty line.
func (l *emptyLines) end(c byte) bool {
	switch {
	case l.err != nil:
		return false
	case l.cr && c != '\n':
		l.err = errRequest
		return false
	case l.cr && l.n == maxEmptyLines:
		l.err = errEmptyLines
		return false
	case l.cr:
		l.n, l.cr = l.n+1, false
		return true
	case c == '\r':
		l.cr = true
		return true
	case c == '\n':
		l.err = errBareLF
	}
	return false
}
