package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Change is one row of a feed: the package of that name changed, or is gone.
type Change struct {
	Name    string
	Deleted bool
}

const (
	maxRow      = 64 << 10 // bytes of a row
	maxName     = 255      // bytes; as many as a file system can hold, and more than a registry takes
	maxSequence = 8 << 10  // bytes; a cluster's name each of its shards
)

// sequence is a place in a feed, as it is written into since=: a number, or in
// CouchDB 2 and later an opaque text such as "123-g1AAAA". "" is none.
type sequence string

// UnmarshalJSON takes a number, a text, or the array that BigCouch had. A null,
// which stands where a server was asked to leave sequences out, is none.
func (s *sequence) UnmarshalJSON(raw []byte) error {
	if len(raw) > maxSequence {
		return errors.New("sequence is too long")
	}
	switch raw[0] {
	case 'n':
		*s = ""
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		*s = sequence(text)
	case '[':
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return err
		}
		*s = sequence(b.String())
	default:
		if _, err := strconv.ParseUint(string(raw), 10, 64); err != nil {
			return errors.New("sequence is no number")
		}
		*s = sequence(raw)
	}
	return nil
}

// number is how far the sequence is, for comparison. An opaque one begins with
// the sum of its shards' numbers.
func (s sequence) number() (n uint64, ok bool) {
	digits := strings.TrimPrefix(string(s), "[")
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// reached says that s is no earlier place than o, for certain.
func (s sequence) reached(o sequence) bool {
	a, known := s.number()
	b, other := o.number()
	return known && other && a >= b
}

// before says that s is an earlier place than o, as far as that can be told.
func (s sequence) before(o sequence) bool {
	a, known := s.number()
	b, other := o.number()
	return known && other && a < b
}

// row is one row, or the end of a continuous feed.
type row struct {
	Seq     sequence `json:"seq"`
	ID      string   `json:"id"`
	Deleted bool     `json:"deleted"`

	Changes []struct{} `json:"changes"` // read only because a row with another type of them is broken

	Last sequence `json:"last_seq"`

	broken bool // it could not be read, but for the fields that are set
}

// parseRow reads a row.
func parseRow(raw []byte) (r row) {
	if len(raw) <= maxRow && json.Unmarshal(raw, &r) == nil && (r.ID != "" || r.Last != "") {
		return r
	}
	return salvage(raw)
}

// salvage takes the sequence and the name from the beginning of a row that cannot
// be read, if they are there. Whether it is a deletion may be in the rest, and
// is assumed.
func salvage(raw []byte) row {
	r := row{broken: true, Deleted: true}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return r
	}
	for d.More() {
		var value json.RawMessage
		key, err := d.Token()
		if err != nil || d.Decode(&value) != nil {
			break
		}
		switch key { // a value of another type is not there
		case "id":
			_ = json.Unmarshal(value, &r.ID)
		case "seq":
			_ = json.Unmarshal(value, &r.Seq)
		}
	}
	return r
}

// change is the change of a package that the row tells of. ok is false for a row
// about something else, such as a design document.
func (r *row) change() (c Change, ok bool) {
	return Change{Name: r.ID, Deleted: r.Deleted}, ValidName(r.ID)
}

// ValidName says whether name may be a package's: it is no design document and
// no text that could harm a log. Whether a registry takes it is the registry's
// affair.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '_' || name[0] == '.' || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '"' })
}
