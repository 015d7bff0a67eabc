package packument

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// cut is a packument with the places where something may be taken out of it.
type cut struct {
	src     []byte
	objects []cutObject          // in the order of the source
	times   map[string]time.Time // of the last member "time"
}

// cutObject is a member "versions", "time" or "dist-tags" of the top level.
type cutObject struct {
	Span
	what    string
	members []cutMember
}

// cutMember is a member of such an object.
type cutMember struct {
	name      string
	from      int // of the whole member
	from2, to int // of its value
}

func (m cutMember) value(src []byte) []byte { return src[m.from2:m.to] }

// readCut finds the places.
func readCut(src []byte) (*cut, error) {
	r := NewReader(src)
	c := &cut{src: src}
	err := r.Each(func(key []byte) error {
		what := string(key)
		if what != "versions" && what != "time" && what != "dist-tags" || r.Kind() != jsontext.KindBeginObject {
			_, err := r.Value()
			return err
		}
		o, err := readCutObject(&r, what)
		if err != nil {
			return err
		}
		c.objects = append(c.objects, o)
		if what == "time" {
			c.times = make(map[string]time.Time, len(o.members))
			for _, m := range o.members {
				if text := m.value(src); text[0] == '"' {
					if t, err := time.Parse(time.RFC3339, string(r.Unquote(text))); err == nil {
						c.times[m.name] = t
					}
				}
			}
		}
		return nil
	})
	if err == nil {
		err = r.End()
	}
	return c, err
}

func readCutObject(r *Reader, what string) (cutObject, error) {
	o := cutObject{what: what}
	if err := r.Object(); err != nil {
		return o, err
	}
	o.From = r.Offset() - 1
	for {
		key, m, ok, err := r.Next()
		if err != nil {
			return o, err
		}
		if !ok {
			o.To = r.Offset()
			return o, nil
		}
		name := string(key)
		v, err := r.Value()
		if err != nil {
			return o, err
		}
		o.members = append(o.members, cutMember{name, m.From, v.From, v.To})
	}
}

// versions are the members of every "versions": some readers of JSON join two of
// them, and others take the last.
func (c *cut) versions() (members []cutMember) {
	for _, o := range c.objects {
		if o.what == "versions" {
			members = append(members, o.members...)
		}
	}
	return members
}

// without writes the packument without the hidden versions, and with other tags
// in place of those that name them: the ones that move returns, "" for none.
func (c *cut) without(hidden map[string]bool, move func(tag, number string) string) []byte {
	out := bytes.NewBuffer(make([]byte, 0, len(c.src)))
	at := 0
	for _, o := range c.objects {
		out.Write(c.src[at:o.From])
		at = o.To
		separator := byte('{')
		put := func(parts ...[]byte) {
			out.WriteByte(separator)
			separator = ','
			for _, p := range parts {
				out.Write(p)
			}
		}
		for _, m := range o.members {
			switch number, isTag := c.tagged(o, m); {
			case isTag && hidden[number]:
				if to := move(m.name, number); to != "" {
					put(c.src[m.from:m.from2], []byte(`"`+QuoteInner(to)+`"`))
				}
			case isTag || !hidden[m.name]:
				put(c.src[m.from:m.to])
			}
		}
		if separator == '{' {
			out.WriteByte('{')
		}
		out.WriteByte('}')
	}
	out.Write(c.src[at:])
	return out.Bytes()
}

// tagged is the version that a member of dist-tags names.
func (c *cut) tagged(o cutObject, m cutMember) (number string, isTag bool) {
	if o.what != "dist-tags" {
		return "", false
	}
	if v := m.value(c.src); v[0] == '"' {
		r := Reader{}
		number = string(r.Unquote(v))
	}
	return number, true
}
