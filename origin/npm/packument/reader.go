package packument

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Reader walks over the members of JSON objects in a source that is wholly in
// memory, and knows the offset of each.
type Reader struct {
	dec     *jsontext.Decoder
	src     []byte
	added   []byte // texts that stand in no source
	scratch []byte // the last name or string that had to be unquoted
}

// Span is a range of the source. The zero span is none.
type Span struct{ From, To int }

// member is where a member of an object stands. The separator reaches from the
// end of the member before to the start of the name, and has the comma in it.
type member struct {
	sep, From, to int
}

// NewReader reads JSON as leniently as old packages need: names may repeat and
// strings need not be UTF-8.
func NewReader(src []byte) Reader {
	return Reader{
		dec: jsontext.NewDecoder(bytes.NewBuffer(src),
			jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		src: src,
	}
}

// literal keeps a text of our own and returns its position in a plan.
func (r *Reader) literal(text string) (at, n int) {
	at = len(r.src) + len(r.added)
	r.added = append(r.added, text...)
	return at, len(text)
}

func (r *Reader) Offset() int { return int(r.dec.InputOffset()) }

// Object enters an object.
func (r *Reader) Object() error {
	k := r.Kind()
	if k != jsontext.KindBeginObject && k != jsontext.KindInvalid {
		return fmt.Errorf("%w: it has %s instead of an object", ErrDocument, k)
	}
	return r.Token()
}

// Next reads the name of the next member and returns it unquoted, valid until
// the next call. At the end of the object it leaves it, and ok is false. The
// end of the member is not known yet.
func (r *Reader) Next() (key []byte, m member, ok bool, err error) {
	m.sep = r.Offset()
	if r.Kind() == jsontext.KindEndObject {
		return nil, m, false, r.Token()
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil, m, false, whole(err)
	}
	m.From = r.Offset() - len(v)
	return r.Unquote(v), m, true, nil
}

// Each reads an object. It calls visit at each value, which visit must read; the
// name is valid until then.
func (r *Reader) Each(visit func(name []byte) error) error {
	if err := r.Object(); err != nil {
		return err
	}
	for {
		name, _, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		if err := visit(name); err != nil {
			return err
		}
	}
}

// Value reads the next value, of any kind.
func (r *Reader) Value() (Span, error) {
	v, err := r.dec.ReadValue()
	if err != nil {
		return Span{}, whole(err)
	}
	to := r.Offset()
	return Span{to - len(v), to}, nil
}

// StringValue reads the next value; the span is zero if it is not a string.
func (r *Reader) StringValue() (Span, error) {
	isString := r.Kind() == jsontext.KindString
	s, err := r.Value()
	if !isString {
		s = Span{}
	}
	return s, err
}

// match is how a string of the source compares with the one it should be.
type match uint8

const (
	absent match = iota
	equal
	otherCase // equal but for the case of letters
	differs
)

// matches reads the next value and compares it.
func (r *Reader) matches(want string) (match, error) {
	s, err := r.StringValue()
	if err != nil || s == (Span{}) {
		return differs, err
	}
	switch got := string(r.Unquote(r.src[s.From:s.To])); {
	case got == want:
		return equal, nil
	case strings.EqualFold(got, want):
		return otherCase, nil
	}
	return differs, nil
}

// Unquote returns the text of a sound JSON string, valid until the next call.
// It copies only if there are escapes.
func (r *Reader) Unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	// The error says that bytes were no UTF-8; they have been replaced.
	r.scratch, _ = jsontext.AppendUnquote(r.scratch[:0], quoted)
	return r.scratch
}

// Text is a range of the source.
func (r *Reader) Text(s Span) []byte { return r.src[s.From:s.To] }

// End checks that nothing follows the document.
func (r *Reader) End() error {
	switch _, err := r.dec.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("%w: something follows it", ErrDocument)
	default:
		return err
	}
}

// Kind is that of the next value, which is not read.
func (r *Reader) Kind() jsontext.Kind { return r.dec.PeekKind() }

// Token reads the next token: the begin or the end of an array, for example.
func (r *Reader) Token() error {
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

// QuoteInner is s as it stands inside the quotes of a JSON string.
func QuoteInner(s string) string {
	// The error says that bytes were no UTF-8; they have been replaced.
	b, _ := jsontext.AppendQuote(nil, s)
	return string(b[1 : len(b)-1])
}
