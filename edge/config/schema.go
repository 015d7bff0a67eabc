package config

import (
	"maps"
	"slices"
	"strings"

	"pkgedge/edge/config/node"
	"pkgedge/origin/kind"
)

// Schema is the JSON Schema of a configuration file (draft 7, which editors read), as the
// decoder asks for it. The comments of the file in text become the descriptions of its keys;
// text may be empty.
//
// It says less than the decoder, which also compares keys with each other.
func Schema(kinds []kind.Descriptor, text []byte) map[string]any {
	shape := node.Describe(func(r *node.Reader, v node.Value) {
		d := &decoder{Reader: r, env: func(string) (string, bool) { return "", false }, kinds: kinds}
		d.object(v, Default(kinds))
	})
	schema := schemaOf(shape, "", node.Comments(text))
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = "Configuration of edge"
	return schema
}

// schemaOf is the schema of the value at a path. Elements of a list have the path of the first.
func schemaOf(s *node.Schema, path string, comments map[string]string) map[string]any {
	var forms []map[string]any
	if s.Fields != nil {
		properties := make(map[string]any)
		for name, field := range s.Fields {
			properties[name] = schemaOf(field, strings.TrimPrefix(path+"."+name, "."), comments)
		}
		forms = append(forms, map[string]any{"type": "object", "properties": properties, "additionalProperties": false})
	}
	if s.Any != nil {
		forms = append(forms, map[string]any{"type": "object", "additionalProperties": schemaOf(s.Any, path+".*", comments)})
	}
	if s.Items != nil {
		forms = append(forms, map[string]any{"type": "array", "items": schemaOf(s.Items, path+"[0]", comments)})
	}
	if s.Scalar {
		forms = append(forms, scalarForms(s)...)
	}
	schema := make(map[string]any)
	if len(forms) == 1 {
		schema = maps.Clone(forms[0])
	} else if len(forms) > 1 {
		schema["anyOf"] = forms
	}
	if text := comments[path]; text != "" {
		schema["description"] = text
	}
	return schema
}

// reference is the form of a value that takes a variable of the environment.
var reference = map[string]any{"type": "string", "pattern": `\$\{`}

// scalarForms are the forms of a single value.
func scalarForms(s *node.Schema) []map[string]any {
	switch {
	case s.Flag:
		return []map[string]any{{"type": "boolean"}, reference}
	case s.Words != nil:
		forms := []map[string]any{{"enum": s.Words}, reference}
		if slices.Contains(s.Words, "off") { // which YAML 1.1, as most editors read it, takes for a boolean
			forms = append(forms, map[string]any{"const": false})
		}
		return forms
	case s.Accepts == nil || s.Accepts(oddText) || s.Accepts("word"):
		return []map[string]any{{"type": []string{"string", "number", "boolean"}}}
	}
	var patterns []string
	forms := []map[string]any{reference}
	if s.Accepts("") {
		patterns = append(patterns, "")
	}
	if s.Accepts("0") {
		forms = append(forms, map[string]any{"const": 0})
	}
	for _, f := range formats {
		if !s.Accepts(f.sample) {
			continue
		}
		if f.pattern != "" {
			patterns = append(patterns, f.pattern)
		}
		if f.number != "" {
			forms = append(forms, map[string]any{"type": f.number})
		}
	}
	if len(patterns) == 0 {
		return []map[string]any{{"type": []string{"string", "number"}}}
	}
	return append(forms, map[string]any{"type": "string", "pattern": "^(" + strings.Join(patterns, "|") + ")$"})
}

// oddText is well formed where any text is. A parser that takes it, or a mere word, is given no
// pattern.
const oddText = "% any text %"

// formats are the forms of texts that the parsers of this package tell apart. A parser that
// takes the sample takes the pattern, or numbers of that type.
var formats = []struct{ sample, pattern, number string }{
	{"5m", `(\d+d)?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))*|0`, ""},
	{"forever", "forever", ""},
	{"256MiB", `\d+ *([KMGT]i?)?B`, ""},
	{"4096", `\d+`, "integer"},
	{"1.5", `\d+\.\d+`, "number"},
	{"https://a.example", `https?://.+`, ""},
	{"/a", `/.*`, ""},
	{"127.0.0.1:8080", `.*:\d+`, ""},
	{"10.0.0.0/8", `[0-9A-Fa-f:.]+(/\d+)?`, ""},
}
