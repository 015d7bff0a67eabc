package ordered

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Object writes a JSON object whose members keep the order they came in.
type Object struct {
	buf bytes.Buffer
	err error
}

func (o *Object) Field(key string, value any) {
	if raw, err := Encode(value); err != nil {
		o.err = errors.Join(o.err, err)
	} else {
		o.put(key, raw)
	}
}

func (o *Object) Nest(key string, value *Object) {
	if raw, err := value.Bytes(); err != nil {
		o.err = errors.Join(o.err, err)
	} else {
		o.put(key, raw)
	}
}

func (o *Object) put(key string, raw []byte) {
	name, err := Encode(key)
	o.err = errors.Join(o.err, err)
	if o.buf.Len() > 0 {
		o.buf.WriteByte(',')
	}
	o.buf.Write(name)
	o.buf.WriteByte(':')
	o.buf.Write(raw)
}

func (o *Object) Bytes() ([]byte, error) {
	return slices.Concat([]byte("{"), o.buf.Bytes(), []byte("}")), o.err
}

// Encode is json.Marshal without its HTML escapes, which no registry writes.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Member is one member of a JSON object.
type Member struct {
	Key string
	Raw json.RawMessage
}

// Members reads a JSON object in its own order.
func Members(raw []byte) ([]Member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object but %v", t)
	}
	var out []Member
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := Member{Key: t.(string)} // the decoder lets nothing else be a key
		if err := dec.Decode(&m.Raw); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	_, err := dec.Token()
	return out, err
}
