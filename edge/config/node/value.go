package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Value is a node of the file, and never an alias. Where a shape is described, it is none.
type Value struct {
	Path  string // keys that lead to it, such as "sites[0].masters"
	r     *Reader
	node  *yaml.Node
	shape *Schema // that is described; nil where a file is read
}

func (r *Reader) value(n *yaml.Node, path string) Value {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return Value{Path: path, r: r, node: n}
}

// Bad records a problem in the value.
func (v Value) Bad(format string, args ...any) { v.r.Bad(v.Path, format, args...) }

// IsMapping says whether the value is a mapping of keys.
func (v Value) IsMapping() bool { return v.isKind(yaml.MappingNode) }

// IsList says whether the value is a list.
func (v Value) IsList() bool { return v.isKind(yaml.SequenceNode) }

func (v Value) isKind(kind yaml.Kind) bool {
	if v.shape != nil {
		return !v.r.single
	}
	return v.node.Kind == kind
}

// is says whether v has that kind, and records a problem if not.
func (v Value) is(kind yaml.Kind, want string) bool {
	switch {
	case v.node.Style&yaml.TaggedStyle != 0:
		v.Bad("has the tag %s: tags mean nothing here, remove it", v.node.ShortTag())
	case v.node.Kind == kind && (kind != yaml.ScalarNode || v.node.ShortTag() != "!!null"):
		return true
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null":
		v.Bad("has no value: give it one, or remove the key")
	case v.node.Kind == yaml.ScalarNode:
		v.Bad("must be %s, not a single value", want)
	case v.node.Kind == yaml.MappingNode:
		v.Bad("must be %s, not a mapping of keys", want)
	default:
		v.Bad("must be %s, not a list", want)
	}
	return false
}

// Fields maps each key of a mapping to the function that reads its value.
type Fields map[string]func(Value)

// Object reads a mapping of those keys. Any other key is a problem.
func (v Value) Object(known Fields) {
	if v.shape != nil {
		v.describeFields(known)
		return
	}
	names := slices.Sorted(maps.Keys(known))
	v.Keys("a mapping of keys", func(key string, value Value) {
		if read, ok := known[key]; ok {
			read(value)
		} else if near := Nearest(key, names); near != "" {
			value.Bad("unknown key: did you mean %s?", near)
		} else {
			value.Bad("unknown key: the keys here are %s", strings.Join(names, ", "))
		}
	})
}

// Keys reads a mapping of any keys, one at a time, in the order of the file. want
// describes the mapping, for the problem of a value of another shape.
func (v Value) Keys(want string, read func(key string, value Value)) {
	if v.shape != nil {
		read("key", v.within(&v.shape.Any, v.below("key")))
		return
	}
	if !v.is(yaml.MappingNode, want) {
		return
	}
	for _, e := range v.entries() {
		path := v.below(e.key.Value)
		v.r.lines[path] = e.key.Line
		read(e.key.Value, v.r.value(e.value, path))
	}
}

// below returns the path of a key of v.
func (v Value) below(key string) string { return strings.TrimPrefix(v.Path+"."+key, ".") }

// entry is a key of a mapping and its value.
type entry struct{ key, value *yaml.Node }

// entries lists the keys of a mapping: its own in order, and then the keys merged
// with << that it does not have itself.
func (v Value) entries() []entry {
	var own, merged []entry
	seen := map[string]int{}
	content := v.node.Content
	for i := 0; i+1 < len(content); i += 2 {
		key := v.r.value(content[i], v.Path).node
		if key.Kind != yaml.ScalarNode {
			v.Bad("line %d: a key must be a word", content[i].Line)
			continue
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, v.merge(content[i+1])...)
			continue
		}
		if first, ok := seen[key.Value]; ok {
			v.r.badAt(key.Line, v.below(key.Value), "is already set on line %d: remove one of them", first)
			continue
		}
		seen[key.Value] = key.Line
		own = append(own, entry{key, content[i+1]})
	}
	for _, e := range merged {
		if _, ok := seen[e.key.Value]; !ok {
			seen[e.key.Value] = e.key.Line
			own = append(own, e)
		}
	}
	return own
}

// merge lists the keys of the mapping that << names. It leaves out the keys that
// this mapping merges in turn, so that a file cannot multiply itself.
func (v Value) merge(n *yaml.Node) []entry {
	from := v.r.value(n, v.Path).node
	if from.Kind != yaml.MappingNode {
		v.r.badAt(n.Line, v.Path, "<< must name one mapping, such as *anchor")
		return nil
	}
	var found []entry
	for i := 0; i+1 < len(from.Content); i += 2 {
		if key := from.Content[i]; key.Kind == yaml.ScalarNode && key.ShortTag() != "!!merge" {
			found = append(found, entry{key, from.Content[i+1]})
		}
	}
	return found
}

// Each reads a list, one element at a time.
func (v Value) Each(read func(Value)) {
	if v.shape != nil {
		read(v.within(&v.shape.Items, v.Path+"[0]"))
		return
	}
	if !v.is(yaml.SequenceNode, "a list") {
		return
	}
	for i, n := range v.node.Content {
		path := fmt.Sprintf("%s[%d]", v.Path, i)
		v.r.lines[path] = n.Line
		read(v.r.value(n, path))
	}
}
