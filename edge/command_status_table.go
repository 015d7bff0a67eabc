package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// statusDoc is the document of /status, in its own order. It is printed by its
// shape and not by its fields, so that a newer edge can say more.
type statusDoc struct{ fields []statusField }

// statusField is a member of a JSON object: a text, an object, or a list of objects.
type statusField struct {
	name   string // in words: "MemoryBytes" is "memory bytes"
	text   string
	object []statusField
	list   [][]statusField
}

func (f *statusField) plain() bool { return f.object == nil && f.list == nil }

// parseStatus reads the document, which is an object that says whether it is
// ready.
func parseStatus(text []byte) (statusDoc, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))
	fields, err := parseObject(dec)
	if err != nil {
		return statusDoc{}, err
	}
	s := statusDoc{fields}
	if word := s.word("ready"); word != "yes" && word != "no" {
		return statusDoc{}, errors.New(`it does not say "ready"`)
	}
	return s, nil
}

func (s statusDoc) ready() bool { return s.word("ready") == "yes" }

func (s statusDoc) word(name string) string {
	for _, f := range s.fields {
		if f.name == name {
			return f.text
		}
	}
	return ""
}

func parseObject(dec *jsontext.Decoder) ([]statusField, error) {
	fields := []statusField{} // not nil, also when there are none
	err := eachMember(dec, func(key string) error {
		f := statusField{name: statusWords(key)}
		err := f.parse(dec)
		fields = append(fields, f)
		return err
	})
	return fields, err
}

func (f *statusField) parse(dec *jsontext.Decoder) (err error) {
	switch dec.PeekKind() {
	case '{':
		f.object, err = parseObject(dec)
	case '[':
		err = f.parseList(dec)
	default:
		var t jsontext.Token
		if t, err = dec.ReadToken(); err == nil {
			f.text = f.value(t)
		}
	}
	return err
}

func (f *statusField) parseList(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	var texts []string
	for dec.PeekKind() != ']' {
		item := statusField{name: f.name}
		if err := item.parse(dec); err != nil {
			return err
		}
		if item.object != nil {
			f.list = append(f.list, item.object)
		} else {
			texts = append(texts, item.text)
		}
	}
	if f.text = strings.Join(texts, ", "); f.text == "" {
		f.text = "none"
	}
	_, err := dec.ReadToken()
	return err
}

// value writes a value for a person, in the unit that the field's name has.
func (f *statusField) value(t jsontext.Token) string {
	switch t.Kind() {
	case 't':
		return "yes"
	case 'f':
		return "no"
	case 'n':
		return "-"
	case '0':
		if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil && strings.HasSuffix(f.name, "bytes") {
			return humanBytes(n)
		}
	}
	return printable(t.String())
}

// statusWords writes a name of JSON or Go in words.
func statusWords(name string) string {
	var b strings.Builder
	lower := false // the rune before is a lower case letter
	for _, r := range printable(name) {
		if r == '_' || r == '-' {
			r = ' '
		}
		if unicode.IsUpper(r) && lower {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// print writes what is plain first, then objects, then lists.
func (s statusDoc) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range s.fields {
		if f.plain() {
			fmt.Fprintf(w, "%s\t%s\n", f.name, f.text)
		}
	}
	for _, f := range s.fields {
		for _, item := range f.list {
			fmt.Fprintf(w, "\n%s\n", statusTitle(f.name, item))
			statusSection(w, item)
		}
	}
	for _, f := range s.fields {
		if f.object != nil {
			fmt.Fprintf(w, "\n%s\n", f.name)
			statusSection(w, f.object)
		}
	}
	return w.Flush()
}

// statusTitle names an item of a list: "site npm".
func statusTitle(list string, item []statusField) string {
	one := strings.TrimSuffix(list, "s")
	for _, f := range item {
		if f.name == "name" {
			return one + " " + f.text
		}
	}
	return one
}

func statusSection(w *tabwriter.Writer, fields []statusField) {
	statusRows(w, "  ", fields)
	for _, f := range fields {
		if len(f.list) > 0 {
			statusTable(w, f.list)
		}
	}
}

// statusRows writes a line for each plain field, those of objects included.
func statusRows(w io.Writer, indent string, fields []statusField) {
	for _, c := range statusCells(fields) {
		if c.name != "name" {
			fmt.Fprintf(w, "%s%s\t%s\n", indent, c.name, c.text)
		}
	}
}

// statusCells flattens fields to the plain ones.
func statusCells(fields []statusField) []statusField {
	var flat []statusField
	for _, f := range fields {
		for _, c := range statusCells(f.object) {
			flat = append(flat, statusField{name: f.name + " " + c.name, text: c.text})
		}
		if f.plain() {
			flat = append(flat, f)
		}
	}
	return flat
}

// statusTable writes a line for each item, under the names of all their fields.
func statusTable(w *tabwriter.Writer, items [][]statusField) {
	var names []string
	lines := make([]map[string]string, len(items))
	for i, item := range items {
		lines[i] = map[string]string{}
		for _, c := range statusCells(item) {
			if !slices.Contains(names, c.name) {
				names = append(names, c.name)
			}
			lines[i][c.name] = c.text
		}
	}
	w.Flush() // a block of its own, with widths of its own
	fmt.Fprintf(w, "\n  %s\n", strings.ToUpper(strings.Join(names, "\t")))
	for _, line := range lines {
		texts := make([]string, len(names))
		for i, name := range names {
			texts[i] = cmp.Or(line[name], "-")
		}
		fmt.Fprintf(w, "  %s\n", strings.Join(texts, "\t"))
	}
	w.Flush()
}
