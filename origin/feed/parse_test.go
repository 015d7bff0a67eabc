package feed

import (
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSequences(t *testing.T) {
	for raw, want := range map[string]struct {
		text   sequence
		number uint64
	}{
		`{"id":"a","seq":12}`:                   {"12", 12},
		`{"id":"a","seq":"12-g1AA"}`:            {"12-g1AA", 12},
		`{"id":"a","seq":[12, "g1AA"]}`:         {`[12,"g1AA"]`, 12},
		`{"id":"a","seq":41062611}`:             {"41062611", 41062611},
		`{"id":"a","seq":null}`:                 {"", 0},
		`{"id":"a"}`:                            {"", 0},
		`{"id":"a","seq":"x"}`:                  {"x", 0},
		`{"last_seq":"7","pending":0}`:          {"", 0},
		`{"seq":18446744073709551615,"id":"a"}`: {"18446744073709551615", 1<<64 - 1},
	} {
		r := parseRow([]byte(raw))
		if n, _ := r.Seq.number(); r.broken || r.Seq != want.text || n != want.number {
			t.Errorf("%s: %+v, %d", raw, r, n)
		}
	}
	for _, raw := range []string{`{"id":"a","seq":1.5}`, `{"id":"a","seq":-1}`, `{"id":"a","seq":{}}`, `{"id":"a","seq":true}`, `{}`, `null`, ``, `{"seq":1}`,
		`{"id":"a","seq":"` + strings.Repeat("1", maxSequence) + `"}`} {
		if r := parseRow([]byte(raw)); !r.broken {
			t.Errorf("%.60s: %+v", raw, r)
		}
	}
	if sequence("9-x").before("10-y") != true || sequence("10").before("9") || sequence("9").before("9") || sequence("").before("9") || sequence("1").before("x") {
		t.Error("before")
	}
}

// Of a row that cannot be read the name counts, and that it may be a deletion.
func TestBrokenRows(t *testing.T) {
	revs := strings.Repeat(`{"rev":"1-0123456789abcdef0123456789abcdef"},`, 2000)
	for raw, want := range map[string]row{
		`{"seq":5,"id":"a","changes":[` + revs + `{}]}`:               {Seq: "5", ID: "a"},
		`{"id":"a","changes":[` + revs:                                {ID: "a"},
		`{"seq":5,"changes":[` + revs + `{}],"id":"a"}`:               {Seq: "5", ID: "a"},
		`{"seq":{},"id":"a"}`:                                         {ID: "a"},
		`{"seq":5,"id":"a","changes":7}`:                              {Seq: "5", ID: "a"},
		`{"seq":5,"id":"a","deleted":"no"}`:                           {Seq: "5", ID: "a"},
		`{"seq":5,"id":"a",x`:                                         {Seq: "5", ID: "a"},
		`{"seq":5,"id":7}`:                                            {Seq: "5"},
		`{"seq":"` + strings.Repeat("1", maxSequence) + `","id":"a"}`: {ID: "a"},
		`{"seq":5,"id":"` + strings.Repeat("a", maxRow):               {Seq: "5"},
		`{"nothing":1}`:                                               {}, `[]`: {}, `{`: {}, `"id"`: {}, ``: {},
	} {
		got := parseRow([]byte(raw))
		if !got.broken || !got.Deleted || got.Seq != want.Seq || got.ID != want.ID {
			t.Errorf("%.60s: %+v", raw, got)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "@s/n": true, "JSONStream": true, "-": true, strings.Repeat("a", 255): true,
		"": false, "_design/app": false, ".x": false, "a b": false, "a\n": false, "a\x00": false, "\xff": false, strings.Repeat("a", 256): false,
	} {
		if ValidName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// A page that is too long is taken so far.
func TestATooLongPageCountsSoFar(t *testing.T) {
	const limit = 64 << 10
	text := `{"seq":1,"id":"` + strings.Repeat("a", 200) + `"},`
	endless := io.MultiReader(strings.NewReader(`{"results":[`), strings.NewReader(strings.Repeat(text, limit/len(text)+2)))
	n := 0
	p, err := readPage(endless, limit, func(*row) error { n++; return nil })
	if err != nil || n != p.rows || n < limit/len(text)-1 || n > limit/len(text) || p.last != "" {
		t.Errorf("%d rows, %+v, %v", n, p, err)
	}
	if _, err := readPage(strings.NewReader(`{"x":"`+strings.Repeat("a", limit)), limit, func(*row) error { return nil }); err == nil {
		t.Error("a long text is a page")
	}
}

func TestTheURLOfTheFeed(t *testing.T) {
	for text, want := range map[string]string{
		"http://a.example":                   "http://a.example/_changes?since=1",
		"http://a.example/registry":          "http://a.example/registry/_changes?since=1",
		"http://a.example/registry/":         "http://a.example/registry/_changes?since=1",
		"http://a.example/registry/_changes": "http://a.example/registry/_changes?since=1",
		"http://u:p@a.example/registry?x=1":  "http://a.example/registry/_changes?since=1",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := New(Config{URL: u}).changes(url.Values{"since": {"1"}}).String(); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func FuzzRow(f *testing.F) {
	for _, seed := range []string{
		`{"seq":1,"id":"a","changes":[{"rev":"1-a"}]}`, `{"seq":"1-g1A","id":"@s/a","deleted":true}`, `{"last_seq":5,"pending":0}`,
		`{"seq":[1,"x"],"id":"a"}`, `{"seq":null,"id":"_design/x"}`, `<html>`, `{"id":"` + "\xff" + `"}`, `{"SEQ":1,"ID":"a"}`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := parseRow(raw)
		if !r.broken && r.ID == "" && r.Last == "" || len(r.Seq) > maxSequence {
			t.Fatalf("%+v", r)
		}
		if r.Seq.before(r.Seq) {
			t.Fatalf("%q is before itself", r.Seq)
		}
		if c, ok := r.change(); ok && (!ValidName(c.Name) || len(c.Name) > maxName || strings.ContainsAny(c.Name, "\r\n\x00")) {
			t.Fatalf("%+v", c)
		}
		if r.broken {
			return
		}
		// A row that may stand alone may stand in a page and on a line.
		line := strings.ReplaceAll(string(raw), "\n", " ")
		l := newLines(strings.NewReader(line + "\n"))
		if _, err := l.next(); err != nil && !strings.HasPrefix(strings.TrimSpace(line), `{"results"`) {
			t.Fatalf("on a line: %v", err)
		}
	})
}

func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		`{"results":[{"seq":1,"id":"a"},{"seq":2,"id":7},{}],"last_seq":2,"pending":3}`, `{"results":[],"last_seq":"0"}`,
		`{"last_seq":1,"results":[{"seq":1,"id":"a"}]}`, `{"results":{}}`, `[]`, `<html>`, `{"results":[`, `{"results":[],"results":[],"last_seq":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := 0
		p, err := readPage(strings.NewReader(string(raw)), maxPage, func(r *row) error {
			if n++; r.ID == "" && !r.broken {
				t.Fatal("a row without a name")
			}
			return nil
		})
		if n != p.rows || err == nil && p.last == "" {
			t.Fatalf("%d rows, %+v, %v", n, p, err)
		}
		for l := newLines(strings.NewReader(string(raw))); ; {
			if r, err := l.next(); err != nil {
				break
			} else if r != nil && !r.broken && r.ID == "" && r.Last == "" {
				t.Fatal("a line of nothing")
			}
		}
	})
}
