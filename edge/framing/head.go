package framing

import (
	"bytes"
	"encoding/binary"
)

// Head is the head of a request. Its slices are parts of the bytes that were read, and are
// good until the next Read.
type Head struct {
	Method, Target []byte
	Minor          byte  // of the version, HTTP/1.Minor: 0 or 1
	Length         int64 // of the body, or Chunked
	Fields         []Field
	Odd            bool // has more fields than Fields

	fields [maxFields]Field
}

// Field is a line of a head, without the spaces around its value.
type Field struct{ Name, Value []byte }

const (
	// Chunked is the Length of a body that ends with its last chunk.
	Chunked = -1
	// maxFields is the number of lines that a Head keeps. All are judged.
	maxFields = 32
)

// Error is the reason for which a request is refused.
type Error string

func (e Error) Error() string { return string(e) }

// ClientFault marks the error of a body that its sender spoilt.
func (Error) ClientFault() {}

const (
	errBareLF     Error = "a line does not end with CRLF"
	errRequest    Error = "the request line is malformed"
	errEmptyLines Error = "too many empty lines before the request"
	errHeads      Error = "too many requests of this client are begun and not sent"
	errVersion    Error = "this version of the protocol is not spoken here"
	errFolded     Error = "a field is folded"
	errName       Error = "the name of a field is malformed"
	errValue      Error = "the value of a field has a control character"
	errLength     Error = "the Content-Length is malformed, or given twice"
	errCoding     Error = "the Transfer-Encoding is not exactly chunked"
	errCoding10   Error = "a Transfer-Encoding in HTTP/1.0"
	errTwoLengths Error = "a Content-Length beside a Transfer-Encoding"
)

// Parse reads the head at the beginning of b, and returns its size. The size is 0 where the
// end of the head is not in b.
func (h *Head) Parse(b []byte) (size int, err error) {
	*h = Head{fields: h.fields}
	h.Fields = h.fields[:0]
	line, rest, err := cutLine(b)
	if line == nil || err != nil {
		return 0, err
	}
	var j judge
	if h.Method, h.Target, err = j.begin(line); err != nil {
		return 0, err
	}
	for {
		line, rest, err = cutLine(rest)
		if line == nil || err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		f, err := j.field(line)
		if err != nil {
			return 0, err
		}
		if len(h.Fields) == maxFields {
			h.Odd = true
			continue
		}
		h.Fields = append(h.Fields, f)
	}
	h.Minor = j.minor
	if h.Length, err = j.end(); err != nil {
		return 0, err
	}
	return len(b) - len(rest), nil
}

// judge judges the lines of a head, one after the other. A head that comes in parts is
// refused at the same line as one that comes whole.
type judge struct {
	begun, sized, coded bool
	minor               byte
	length              int64
}

// begin judges the first line: a token, a space, the target, a space, the version.
func (j *judge) begin(line []byte) (method, target []byte, err error) {
	method, rest, ok := bytes.Cut(line, space)
	target, version, also := bytes.Cut(rest, space)
	if !ok || !also || !isToken(method) || len(target) == 0 || !isText(target) || bytes.IndexByte(target, '\t') >= 0 {
		return nil, nil, errRequest
	}
	switch string(version) {
	case "HTTP/1.1":
		j.minor = 1
	case "HTTP/1.0":
		j.minor = 0
	default:
		if len(version) == 8 && bytes.HasPrefix(version, []byte("HTTP/")) && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]) {
			return nil, nil, errVersion
		}
		return nil, nil, errRequest
	}
	j.begun = true
	return method, target, nil
}

// field judges one of the others.
func (j *judge) field(line []byte) (Field, error) {
	f, err := parseField(line)
	switch {
	case err != nil:
	case f.Is("content-length"):
		j.length, err = contentLength(f.Value, j.sized)
		j.sized = true
	case f.Is("transfer-encoding"):
		switch {
		case j.minor == 0:
			err = errCoding10
		case j.coded || !equalFold(f.Value, "chunked"):
			err = errCoding
		}
		j.coded = true
	}
	return f, err
}

// end returns the length of the body.
func (j *judge) end() (int64, error) {
	switch {
	case j.coded && j.sized:
		return 0, errTwoLengths
	case j.coded:
		return Chunked, nil
	}
	return j.length, nil
}

var crlf = []byte("\r\n")

// cutLine cuts the first line off b, without its CRLF. The line is nil where b has no
// whole one.
func cutLine(b []byte) (line, rest []byte, err error) {
	n := bytes.IndexByte(b, '\n')
	switch {
	case n < 0:
		return nil, b, nil
	case n == 0 || b[n-1] != '\r':
		return nil, b, errBareLF
	}
	return b[:n-1], b[n+1:], nil
}

var space = []byte(" ")

// parseField reads a line of a head or of a trailer section.
func parseField(line []byte) (Field, error) {
	if line[0] == ' ' || line[0] == '\t' {
		return Field{}, errFolded
	}
	n := bytes.IndexByte(line, ':')
	if n < 0 || !isToken(line[:n]) {
		return Field{}, errName
	}
	value := line[n+1:]
	for len(value) > 0 && isSpace(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isSpace(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	if !isText(value) {
		return Field{}, errValue
	}
	return Field{line[:n], value}, nil
}

// Is compares the field's name to one in lower case.
func (f Field) Is(lower string) bool { return equalFold(f.Name, lower) }

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// maxDigits keeps a length within an int64.
const maxDigits = 18

func contentLength(value []byte, again bool) (n int64, err error) {
	if again || len(value) == 0 || len(value) > maxDigits {
		return 0, errLength
	}
	for _, c := range value {
		if !isDigit(c) {
			return 0, errLength
		}
		n = 10*n + int64(c-'0')
	}
	return n, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// tokens has the characters of a token (RFC 9110 section 5.6.2).
var tokens = func() (set [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		set[c] = true
	}
	return set
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokens[c] {
			return false
		}
	}
	return len(b) > 0
}

// isText reports whether b has no control character but tabs.
func isText(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		low := (x - ones*0x20) &^ x & highs // has a byte below 0x20
		del := x ^ ones*0x7f                // has a zero byte for 0x7f
		if low|((del-ones)&^del&highs) != 0 && !isTextSlow(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return isTextSlow(b)
}

func isTextSlow(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
