package kind

import (
	"bytes"
	"io"
	"iter"
	"slices"
	"strconv"
)

// Summary is the Variant of a document that is stored with the others and never
// served. A kind finds in it the facts of a stored answer that it needs later,
// without reading the answer again. Its lines, written by a [SummaryWriter], are
// sorted by key. The word is part of stored responses, so it stays as it is.
const Summary = "memo"

// Raw is the Variant of the document from which the others were made, as the master sent it.
// It is stored where other edges ask for it, and no client gets it. The word is part of
// stored responses, so it stays as it is.
const Raw = "raw"

// SummaryWriter collects the lines of a summary: keys and values, neither with a tab
// or a line feed in it.
type SummaryWriter struct {
	magic string
	text  []byte
	lines []line
}

// line is where a line stands in text.
type line struct{ at, n uint32 }

// NewSummary begins a summary. Its first line is magic, which names its format.
func NewSummary(magic string) *SummaryWriter { return &SummaryWriter{magic: magic} }

// Add begins a line, "prefix/key"; the prefix alone where key is nil. A line
// with a control byte in it is left out.
func (w *SummaryWriter) Add(prefix string, key []byte, value ...[]byte) {
	control := func(c byte) bool { return c < ' ' }
	for _, v := range append(value, key) {
		if slices.ContainsFunc(v, control) {
			return
		}
	}
	at := len(w.text)
	if n := len(prefix) + len(key) + 160; cap(w.text)-at < n { // double: append would grow by a quarter
		w.text = slices.Grow(w.text, at+n)
	}
	w.text = append(w.text, prefix...)
	if key != nil {
		w.text = append(append(w.text, '/'), key...)
	}
	for _, v := range value {
		w.text = append(append(w.text, '\t'), v...)
	}
	w.text = append(w.text, '\n')
	w.lines = append(w.lines, line{uint32(at), uint32(len(w.text) - at)})
}

// Alias adds a line by which FindSpan finds for a key the span of another.
func (w *SummaryWriter) Alias(prefix string, key []byte, other string) {
	w.Add(prefix, key, []byte("="+other))
}

// AddSpan adds a line whose value is a range of the bytes of another document.
func (w *SummaryWriter) AddSpan(prefix string, key []byte, from, n int64) {
	var buf [48]byte
	value := strconv.AppendInt(buf[:0], from, 10)
	value = strconv.AppendInt(append(value, ' '), n, 10)
	w.Add(prefix, key, value)
}

// Drop forgets every line of a prefix.
func (w *SummaryWriter) Drop(prefix string) {
	p := []byte(prefix + "/")
	w.lines = slices.DeleteFunc(w.lines, func(l line) bool { return bytes.HasPrefix(w.line(l), p) })
}

func (w *SummaryWriter) line(l line) []byte { return w.text[l.at : l.at+l.n] }

// Keys returns the keys of a prefix, without it.
func (w *SummaryWriter) Keys(prefix string) map[string]bool {
	p := []byte(prefix + "/")
	keys := map[string]bool{}
	for _, l := range w.lines {
		if k, ok := bytes.CutPrefix(w.line(l), p); ok {
			keys[string(k[:bytes.IndexAny(k, "\t\n")])] = true
		}
	}
	return keys
}

// Has reports whether there is a line with that key and value.
func (w *SummaryWriter) Has(key string, value []byte) bool {
	want := append(append([]byte(key+"\t"), value...), '\n')
	return slices.ContainsFunc(w.lines, func(l line) bool { return bytes.Equal(w.line(l), want) })
}

// Document sorts the lines and returns the summary. The tab after a key sorts before
// any byte of one, so that whole lines may be compared.
func (w *SummaryWriter) Document() Document {
	slices.SortFunc(w.lines, func(a, b line) int { return bytes.Compare(w.line(a), w.line(b)) })
	w.lines = slices.CompactFunc(w.lines, func(a, b line) bool { return bytes.Equal(w.line(a), w.line(b)) })
	size := int64(len(w.magic) + 1)
	for _, l := range w.lines {
		size += int64(l.n)
	}
	return Document{Variant: Summary, ContentType: "text/plain; charset=utf-8", Size: size, Body: w}
}

// WriteTo writes the summary, after Document has sorted it.
func (w *SummaryWriter) WriteTo(to io.Writer) (int64, error) {
	n, err := io.WriteString(to, w.magic+"\n")
	total := int64(n)
	for _, l := range w.lines {
		if err != nil {
			break
		}
		n, err = to.Write(w.line(l))
		total += int64(n)
	}
	return total, err
}

// Lines returns a summary's lines. ok is false for a summary of another format.
func Lines(summary []byte, magic string) (lines []byte, ok bool) {
	first, lines, _ := bytes.Cut(summary, []byte("\n"))
	return lines, string(first) == magic
}

// Find searches sorted lines for the only one of a key and returns its value. A
// key that occurs twice says two things, and so nothing.
func Find(lines []byte, key string) (value []byte, ok bool) {
	low, high := 0, len(lines) // both where a line starts, or the end
	for low < high {
		middle := low + (high-low)/2
		start := bytes.LastIndexByte(lines[low:middle], '\n') + 1 + low
		line, _, _ := bytes.Cut(lines[start:high], []byte("\n"))
		k, after, _ := bytes.Cut(line, []byte("\t"))
		switch next := min(start+len(line)+1, high); {
		case string(k) < key:
			low = next
		case string(k) > key:
			high = start
		default:
			twice := begins(lines[next:], key)
			if start > 0 {
				before := bytes.LastIndexByte(lines[:start-1], '\n') + 1
				twice = twice || begins(lines[before:], key)
			}
			return after, !twice
		}
	}
	return nil, false
}

// begins reports whether the first line is one of the key.
func begins(lines []byte, key string) bool {
	return len(lines) > len(key) && lines[len(key)] == '\t' && string(lines[:len(key)]) == key
}

// FindSpan searches for a range written by AddSpan, or an Alias of one.
func FindSpan(lines []byte, key string) (from, n int64, ok bool) {
	value, ok := Find(lines, key)
	if other, alias := bytes.CutPrefix(value, []byte("=")); ok && alias {
		value, ok = Find(lines, string(other))
	}
	if !ok {
		return 0, 0, false
	}
	first, second, _ := bytes.Cut(value, []byte(" "))
	from, err1 := strconv.ParseInt(string(first), 10, 64)
	n, err2 := strconv.ParseInt(string(second), 10, 64)
	return from, n, err1 == nil && err2 == nil && from >= 0 && n >= 0
}

// FindText finds the value of a line in a summary, "" for none. Nor has the key "" one.
func FindText(summary []byte, key string) string {
	if key == "" {
		return ""
	}
	_, lines, _ := bytes.Cut(summary, []byte("\n"))
	value, _ := Find(lines, key)
	return string(value)
}

// FindSubdocument finds a part of a document in its summary.
func FindSubdocument(summary []byte, name string) (from, n int64, ok bool) {
	_, lines, _ := bytes.Cut(summary, []byte("\n"))
	return FindSpan(lines, name)
}

// Keys lists the keys of a prefix in sorted lines, without it, in order.
func Keys(lines []byte, prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		p := []byte(prefix + "/")
		for rest := lines; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte("\n"))
			key, _, _ := bytes.Cut(line, []byte("\t"))
			if k, ok := bytes.CutPrefix(key, p); ok && !yield(string(k)) {
				return
			}
		}
	}
}
