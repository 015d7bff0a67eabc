package kind

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// written is a summary as it is stored.
func written(t *testing.T, w *SummaryWriter) []byte {
	t.Helper()
	var b bytes.Buffer
	d := w.Document()
	if n, err := d.Body.WriteTo(&b); err != nil || n != d.Size || d.Variant != Summary {
		t.Fatalf("%d of %d bytes of %q: %v", n, d.Size, d.Variant, err)
	}
	return b.Bytes()
}

func TestEveryLineIsFound(t *testing.T) {
	w := NewSummary("test 1")
	const n = 300
	for i := range n {
		w.Add("file", fmt.Append(nil, i), fmt.Appendf(nil, "v%d", i), []byte("x"))
		w.AddSpan("at", fmt.Append(nil, i), int64(i), 7)
	}
	w.Alias("at", []byte("tag"), "at/42")
	w.Add("alone", nil, []byte("y"))
	w.Add("file", []byte("bad\nkey"), []byte("left out"))
	lines, ok := Lines(written(t, w), "test 1")
	if !ok {
		t.Fatal("the summary is of another format")
	}
	for i := range n {
		if v, ok := Find(lines, fmt.Sprintf("file/%d", i)); !ok || string(v) != fmt.Sprintf("v%d\tx", i) {
			t.Errorf("file %d: %q, %v", i, v, ok)
		}
	}
	for _, key := range []string{"", "file", "file/", "file/300", "file/1 ", "alon", "alonee", "zz", "file/bad"} {
		if v, ok := Find(lines, key); ok {
			t.Errorf("%q is found: %q", key, v)
		}
	}
	if v, ok := Find(lines, "alone"); !ok || string(v) != "y" {
		t.Errorf("a key without a prefix: %q, %v", v, ok)
	}
	if from, length, ok := FindSpan(lines, "at/tag"); !ok || from != 42 || length != 7 {
		t.Errorf("an alias: %d, %d, %v", from, length, ok)
	}
	if got := len(slices.Collect(Keys(lines, "file"))); got != n {
		t.Errorf("%d keys", got)
	}
}

func TestAKeyThatSaysTwoThingsSaysNothing(t *testing.T) {
	w := NewSummary("test 1")
	for _, v := range []string{"1", "2"} {
		w.Add("file", []byte("twice"), []byte(v))
		w.Add("file", []byte("same"), []byte("1"))
	}
	lines, _ := Lines(written(t, w), "test 1")
	if v, ok := Find(lines, "file/twice"); ok {
		t.Errorf("two values: %q", v)
	}
	if _, ok := Find(lines, "file/same"); !ok {
		t.Error("a line that was written twice is not found")
	}
	if _, ok := Lines([]byte("test 2\n"), "test 1"); ok {
		t.Error("another format is read")
	}
}
