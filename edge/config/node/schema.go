package node

import (
	"maps"
	"slices"
)

// Schema is the shape of a value, as the functions that read it ask for it. [Describe] makes
// one without a file.
type Schema struct {
	Fields map[string]*Schema // of a mapping; nil for none
	Any    *Schema            // the value of every key of a mapping of any keys
	Items  *Schema            // of a list
	Words  []string           // the only texts of a scalar
	Flag   bool               // the words are those of a YAML boolean
	Scalar bool               // a single value is read, also one that has no words
	// Accepts reports whether a scalar's text is well formed. It is nil where any is.
	Accepts func(text string) bool
}

// Describe returns the shape that read asks for. It is called twice: once a value that may
// have several shapes is no single value, and once it is nothing else. Problems that
// it records are dropped.
func Describe(read func(*Reader, Value)) *Schema {
	s := new(Schema)
	for _, single := range []bool{false, true} {
		r := NewReader("", func(string) (string, bool) { return "", false })
		r.single = single
		read(r, Value{r: r, shape: s})
	}
	return s
}

// within is the value of a part of a shape, made when it is seen first.
func (v Value) within(part **Schema, path string) Value {
	if *part == nil {
		*part = new(Schema)
	}
	return Value{Path: path, r: v.r, shape: *part}
}

// describeFields is Object without a file.
func (v Value) describeFields(known Fields) {
	if v.shape.Fields == nil {
		v.shape.Fields = make(map[string]*Schema)
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		part := v.shape.Fields[name]
		known[name](v.within(&part, v.below(name)))
		v.shape.Fields[name] = part
	}
}
