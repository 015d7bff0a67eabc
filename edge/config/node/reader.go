package node

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Reader reads the nodes of a configuration file. It records the line of each key
// and collects the problems. It is for one file, and for one goroutine.
type Reader struct {
	file     string
	env      func(string) (string, bool)
	lines    map[string]int // key path, as seen in the file, to its line
	problems Problems
	single   bool // a shape is described whose values are no mappings and no lists, see Describe
}

// NewReader returns a reader of the file of that name, whose values may refer to
// variables of env.
func NewReader(file string, env func(string) (string, bool)) *Reader {
	return &Reader{file: file, env: env, lines: map[string]int{}}
}

// Bad records a problem in the key at path. Where the file does not have that key,
// the problem has the line of the nearest key around it.
func (r *Reader) Bad(path, format string, args ...any) {
	r.badAt(r.line(path), path, format, args...)
}

// badAt records a problem at a line of its own.
func (r *Reader) badAt(line int, path, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: path, Text: fmt.Sprintf(format, args...)})
}

// line returns the line of the key at path, or of the nearest key around it.
func (r *Reader) line(path string) int {
	for path != "" {
		if n := r.lines[path]; n > 0 {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// Given says whether the file has the key at path.
func (r *Reader) Given(path string) bool { return r.lines[path] > 0 }

// Lines returns the line of each key that the file has, by its path.
func (r *Reader) Lines() map[string]int { return r.lines }

// Count returns the number of problems recorded so far.
func (r *Reader) Count() int { return len(r.problems) }

// Problems returns the problems recorded so far, by line.
func (r *Reader) Problems() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return r.problems
}

// Document parses text, which must be one YAML document. It returns false when it
// is not, and records the problem.
func (r *Reader) Document(text []byte) (Value, bool) {
	wrong := func(line int, message string) (Value, bool) {
		r.problems = append(r.problems, Problem{File: r.file, Line: line, Text: message})
		return Value{}, false
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
	return r.value(doc.Content[0], ""), true
}

// firstInvalid returns the place of the first byte that is not UTF-8, or -1.
func firstInvalid(text []byte) int {
	for i := 0; i < len(text); {
		char, n := utf8.DecodeRune(text[i:])
		if char == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// syntax describes an error of the YAML parser, and returns its line.
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
