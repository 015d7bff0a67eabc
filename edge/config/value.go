package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"pkgedge/origin/kind"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// decoder walks the nodes of a configuration file and collects what is wrong.
// Nodes, and not a struct with tags, because only nodes know their lines.
type decoder struct {
	file     string
	kinds    []kind.Descriptor // that a site can be of
	env      func(string) (string, bool)
	lines    map[string]int // key path, as seen in the file, to its line
	problems Problems
}

// bad records a problem in the key at path, or where that key would have been.
func (d *decoder) bad(path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: d.line(path), Key: path, Text: fmt.Sprintf(format, args...)})
}

// line is where the key at path stands, or the nearest key around it.
func (d *decoder) line(path string) int {
	for path != "" {
		if n := d.lines[path]; n > 0 {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// document parses text as the one YAML document it must be.
func (d *decoder) document(text []byte) (value, bool) {
	wrong := func(line int, message string) (value, bool) {
		d.problems = append(d.problems, Problem{File: d.file, Line: line, Text: message})
		return value{}, false
	}
	if at := firstInvalid(text); at >= 0 {
		return wrong(1+bytes.Count(text[:at], []byte("\n")), "is not UTF-8 text: save the file as UTF-8")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return wrong(0, err.Error())
	}
	var doc, next yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return wrong(1, "the file is empty: write a configuration, or run without a file for the built-in one")
	} else if err != nil {
		return wrong(syntax(text, err))
	}
	if err := loader.Load(&next); err == nil {
		return wrong(next.Line, "a second document begins: keep one, and remove this ---")
	} else if !errors.Is(err, io.EOF) {
		return wrong(syntax(text, err))
	}
	return d.value(doc.Content[0], ""), true
}

func firstInvalid(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// syntax puts an error of the YAML parser in words, with its line.
func syntax(text []byte, err error) (int, string) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return 0, "is not YAML: " + err.Error()
	}
	message := "is not YAML: " + le.Message
	if le.ContextMsg != "" {
		message += " " + le.ContextMsg
	}
	lines := bytes.Split(text, []byte("\n"))
	if n := le.Mark.Line; n > 0 && n <= len(lines) && bytes.Contains(lines[n-1], []byte("${")) {
		message += `: inside { } or [ ], write "${NAME}" in quotes`
	}
	return le.Mark.Line, message
}

// value is a node, never an alias, and the path of keys that leads to it.
type value struct {
	d    *decoder
	node *yaml.Node
	path string
}

func (d *decoder) value(n *yaml.Node, path string) value {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return value{d, n, path}
}

func (v value) bad(format string, args ...any) { v.d.bad(v.path, format, args...) }

// is says whether v has the kind that is wanted, and records a problem if not.
func (v value) is(kind yaml.Kind, want string) bool {
	switch {
	case v.node.Style&yaml.TaggedStyle != 0:
		v.bad("has the tag %s: tags mean nothing here, remove it", v.node.ShortTag())
	case v.node.Kind == kind && (kind != yaml.ScalarNode || v.node.ShortTag() != "!!null"):
		return true
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null":
		v.bad("has no value: give it one, or remove the key")
	case v.node.Kind == yaml.ScalarNode:
		v.bad("must be %s, not a single value", want)
	case v.node.Kind == yaml.MappingNode:
		v.bad("must be %s, not a mapping of keys", want)
	default:
		v.bad("must be %s, not a list", want)
	}
	return false
}

// fields says what to do with the value of each key of a mapping.
type fields map[string]func(value)

// object reads a mapping.
func (v value) object(known fields) {
	if !v.is(yaml.MappingNode, "a mapping of keys") {
		return
	}
	names := slices.Sorted(maps.Keys(known))
	for _, e := range v.entries() {
		path := strings.TrimPrefix(v.path+"."+e.key.Value, ".")
		v.d.lines[path] = e.key.Line
		if read, ok := known[e.key.Value]; ok {
			read(v.d.value(e.value, path))
		} else if near := nearest(e.key.Value, names); near != "" {
			v.d.bad(path, "unknown key: did you mean %s?", near)
		} else {
			v.d.bad(path, "unknown key: the keys here are %s", strings.Join(names, ", "))
		}
	}
}

type entry struct{ key, value *yaml.Node }

// entries lists the keys of a mapping: its own in order, then those merged
// with <<, which its own win over.
func (v value) entries() []entry {
	var own, merged []entry
	seen := map[string]int{}
	content := v.node.Content
	for i := 0; i+1 < len(content); i += 2 {
		key := v.d.value(content[i], v.path).node
		if key.Kind != yaml.ScalarNode {
			v.bad("line %d: a key must be a word", content[i].Line)
			continue
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, v.merge(content[i+1])...)
			continue
		}
		if first, ok := seen[key.Value]; ok {
			path := strings.TrimPrefix(v.path+"."+key.Value, ".")
			v.d.problems = append(v.d.problems, Problem{File: v.d.file, Line: key.Line, Key: path,
				Text: fmt.Sprintf("is already set on line %d: remove one of them", first)})
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

// merge lists what << brings in: the keys of one mapping, not of mappings that
// it merges in turn, so that a file cannot multiply itself.
func (v value) merge(n *yaml.Node) []entry {
	from := v.d.value(n, v.path).node
	if from.Kind != yaml.MappingNode {
		v.d.problems = append(v.d.problems, Problem{File: v.d.file, Line: n.Line, Key: v.path, Text: "<< must name one mapping, such as *anchor"})
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

// each reads a list, one element at a time.
func (v value) each(read func(value)) {
	if !v.is(yaml.SequenceNode, "a list") {
		return
	}
	for i, n := range v.node.Content {
		path := fmt.Sprintf("%s[%d]", v.path, i)
		v.d.lines[path] = n.Line
		read(v.d.value(n, path))
	}
}

// text reads a scalar, with ${NAME} replaced.
func (v value) text() (string, bool) { return v.expanded(v.d.env) }

// secret reads a scalar that is empty where the environment does not have it.
func (v value) secret() (string, bool) {
	return v.expanded(func(name string) (string, bool) {
		text, _ := v.d.env(name)
		return text, true
	})
}

func (v value) expanded(env func(string) (string, bool)) (string, bool) {
	if !v.is(yaml.ScalarNode, "a single value") {
		return "", false
	}
	text, unset, odd := expand(v.node.Value, env)
	for _, ref := range odd {
		v.bad("%s is not a variable: write ${NAME} or ${NAME:-default}, and $${ for a plain ${", ref)
	}
	for _, name := range unset {
		v.bad("the environment has no variable %s: set it, or write ${%s:-default}", name, name)
	}
	return text, len(unset)+len(odd) == 0
}

// oneOf reads one of words.
func (v value) oneOf(words ...string) (string, bool) {
	text, ok := v.text()
	if !ok || slices.Contains(words, text) {
		return text, ok
	}
	if near := nearest(text, words); near != "" {
		v.bad("%q is not known: did you mean %s?", text, near)
	} else {
		v.bad("%q is not known: write %s", text, strings.Join(words, " or "))
	}
	return "", false
}

// flag reads true or false.
func (v value) flag() (set, ok bool) {
	word, ok := v.oneOf("true", "false")
	return word == "true", ok
}

// into reads a scalar with parse and puts it in dst.
func into[T any](dst *T, parse func(string) (T, error)) func(value) {
	return func(v value) {
		text, ok := v.text()
		if !ok {
			return
		}
		if got, err := parse(text); err != nil {
			v.bad("%v", err)
		} else {
			*dst = got
		}
	}
}

// all reads a list of scalars with parse and puts it in dst.
func all[T any](dst *[]T, parse func(string) (T, error)) func(value) {
	return func(v value) {
		var list []T
		v.each(func(v value) {
			var item T
			before := len(v.d.problems)
			if into(&item, parse)(v); len(v.d.problems) == before {
				list = append(list, item)
			}
		})
		*dst = list
	}
}

var (
	reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// expand replaces each ${NAME} and ${NAME:-default} in text by what env has,
// and $${ by ${. The default is for what is unset or empty. It also returns
// the names with neither a value nor a default, and the references to no name.
func expand(text string, env func(string) (string, bool)) (expanded string, unset, odd []string) {
	expanded = reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		body, closed := strings.CutSuffix(ref[len("${"):], "}")
		name, otherwise, hasDefault := strings.Cut(body, ":-")
		if !closed || !variable.MatchString(name) {
			odd = append(odd, ref)
			return ""
		}
		got, ok := env(name)
		if hasDefault && got == "" {
			return otherwise
		}
		if !ok {
			unset = append(unset, name)
		}
		return got
	})
	return expanded, unset, odd
}
