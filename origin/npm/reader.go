package npm

import (
	"bytes"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// reader walks over the members of JSON objects in a source that is wholly in
// memory, and knows the offset of each.
type reader struct {
	dec     *jsontext.Decoder
	src     []byte
	own     []byte // texts that stand in no source
	scratch []byte // the last name or string that had to be unquoted
}

// span is a range of the source. The zero span is none.
type span struct{ from, to int }

// member is where a member of an object stands. The separator reaches from the
// end of what comes before to the start of the name, and has the comma in it.
type member struct {
	sep, from, to int
}

// newReader reads JSON as leniently as old packages need: names may repeat and
// strings need not be UTF-8.
func newReader(src []byte) reader {
	return reader{
		dec: jsontext.NewDecoder(bytes.NewBuffer(src),
			jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		src: src,
	}
}

// literal keeps a text of our own and returns its position in a plan.
func (r *reader) literal(text string) (at, n int) {
	at = len(r.src) + len(r.own)
	r.own = append(r.own, text...)
	return at, len(text)
}

func (r *reader) offset() int { return int(r.dec.InputOffset()) }

// object enters an object.
func (r *reader) object() error {
	k := r.kind()
	if k != jsontext.KindBeginObject && k != jsontext.KindInvalid {
		return fmt.Errorf("%w: it has %s instead of an object", ErrDocument, k)
	}
	return r.token()
}

// next reads the name of the next member and returns it unquoted, valid until
// the next call. At the end of the object it leaves it, and ok is false. The
// end of the member is not known yet.
func (r *reader) next() (key []byte, m member, ok bool, err error) {
	m.sep = r.offset()
	if r.kind() == jsontext.KindEndObject {
		return nil, m, false, r.token()
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil, m, false, whole(err)
	}
	m.from = r.offset() - len(v)
	return r.unquote(v), m, true, nil
}

// value reads the next value, whatever it is.
func (r *reader) value() (span, error) {
	v, err := r.dec.ReadValue()
	if err != nil {
		return span{}, whole(err)
	}
	to := r.offset()
	return span{to - len(v), to}, nil
}

// stringValue reads the next value; the span is zero if it is not a string.
func (r *reader) stringValue() (span, error) {
	isString := r.kind() == jsontext.KindString
	s, err := r.value()
	if !isString {
		s = span{}
	}
	return s, err
}

// match is how a string of the source compares with the one it should be.
type match uint8

const (
	absent match = iota
	equal
	differs
)

// matches reads the next value and compares it.
func (r *reader) matches(want string) (match, error) {
	s, err := r.stringValue()
	if err == nil && s != (span{}) && string(r.unquote(r.src[s.from:s.to])) == want {
		return equal, nil
	}
	return differs, err
}

// unquote returns the text of a sound JSON string, valid until the next call.
// It copies only if there are escapes.
func (r *reader) unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	// The error says that bytes were no UTF-8; they have been replaced.
	r.scratch, _ = jsontext.AppendUnquote(r.scratch[:0], quoted)
	return r.scratch
}

// text is a range of the source.
func (r *reader) text(s span) []byte { return r.src[s.from:s.to] }

// end checks that nothing follows the document.
func (r *reader) end() error {
	switch _, err := r.dec.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("%w: something follows it", ErrDocument)
	default:
		return err
	}
}

// kind is what the next value is, without reading it.
func (r *reader) kind() jsontext.Kind { return r.dec.PeekKind() }

// token reads the next token: the begin or the end of an array, for example.
func (r *reader) token() error {
	_, err := r.dec.ReadToken()
	return whole(err)
}

// whole turns the end of the source into an error where more must follow.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// quoteInner is s as it stands inside the quotes of a JSON string.
func quoteInner(s string) string {
	// The error says that bytes were no UTF-8; they have been replaced.
	b, _ := jsontext.AppendQuote(nil, s)
	return string(b[1 : len(b)-1])
}
