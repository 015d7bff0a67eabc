package conditional

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// header is made of lines such as "Etag: x".
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestSpans(t *testing.T) {
	received := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	stored := header(`Etag: "a"`, "Last-Modified: Thu, 26 Nov 2026 10:00:00 GMT")
	for _, tt := range []struct {
		request http.Header
		want    []Span
		ok      bool
	}{
		{header(), nil, false},
		{header("Range: bytes=0-4"), []Span{{0, 5}}, true},
		{header("Range: bytes=90-"), []Span{{90, 10}}, true},
		{header("Range: bytes=-5"), []Span{{95, 5}}, true},
		{header("Range: bytes=200-"), nil, true},
		{header("Range: lines=0-4"), nil, false},
		{header("Range: bytes=50-59,0-9"), []Span{{50, 10}, {0, 10}}, true},
		{header("Range: bytes=0-9,9-12"), nil, false}, // overlap
		{header("Range: bytes=0-4", `If-Range: "a"`), []Span{{0, 5}}, true},
		{header("Range: bytes=0-4", `If-Range: "b"`), nil, false},
		{header("Range: bytes=0-4", `If-Range: W/"a"`), nil, false},
		{header("Range: bytes=0-4", "If-Range: Thu, 26 Nov 2026 10:00:00 GMT"), []Span{{0, 5}}, true},
		{header("Range: bytes=0-4", "If-Range: Thu, 26 Nov 2026 10:00:01 GMT"), nil, false},
	} {
		got, ok := Spans(tt.request, stored, received, 100)
		if ok != tt.ok || !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, %v; want %v, %v", tt.request, got, ok, tt.want, tt.ok)
		}
	}
	dated := header("Range: bytes=0-4", "If-Range: Thu, 26 Nov 2026 10:00:00 GMT")
	stored.Set("Date", "Thu, 26 Nov 2026 10:00:00 GMT")
	if _, ok := Spans(dated, stored, received, 100); ok {
		t.Error("a weak date is a condition for a part")
	}
	if !Ascending([]Span{{0, 1}, {5, 1}}) || Ascending([]Span{{5, 1}, {0, 1}}) {
		t.Error("order of spans")
	}
}

func TestMultipartFramesItsSpans(t *testing.T) {
	body := "0123456789"
	spans := []Span{{2, 3}, {0, 1}}
	m := NewMultipart(spans, "text/plain", int64(len(body)), "frame")
	var whole strings.Builder
	for i, s := range spans {
		whole.Write(m.Heads[i])
		whole.WriteString(body[s.Start:s.End()])
	}
	whole.Write(m.Tail)
	if int64(whole.Len()) != m.Size {
		t.Errorf("%d bytes; Size says %d", whole.Len(), m.Size)
	}
	_, params, err := mime.ParseMediaType(m.ContentType)
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(whole.String()), params["boundary"])
	for _, want := range []struct{ text, contentRange string }{{"234", "bytes 2-4/10"}, {"0", "bytes 0-0/10"}} {
		p, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(p)
		if string(text) != want.text || p.Header.Get("Content-Range") != want.contentRange || p.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("part %q with %v; want %q, %s", text, p.Header, want.text, want.contentRange)
		}
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func TestNotModified(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	stored := header(`Etag: "a"`, "Last-Modified: Thu, 26 Nov 2026 10:00:00 GMT")
	for _, tt := range []struct {
		request http.Header
		want    bool
	}{
		{header(), false},
		{header(`If-None-Match: W/"a"`), true},
		{header(`If-None-Match: "b"`, "If-Modified-Since: Thu, 26 Nov 2026 11:00:00 GMT"), false},
		{header("If-Modified-Since: Thu, 26 Nov 2026 10:00:00 GMT"), true},
		{header("If-Modified-Since: Thu, 26 Nov 2026 09:59:59 GMT"), false},
		{header("If-Modified-Since: yesterday"), false},
	} {
		if got := NotModified(tt.request, stored, now); got != tt.want {
			t.Errorf("%v: %v; want %v", tt.request, got, tt.want)
		}
	}
	weak := header("Last-Modified: Thu, 26 Nov 2026 10:00:00 GMT", "Date: Thu, 26 Nov 2026 10:00:00 GMT")
	for since, want := range map[string]bool{"09:59:59": false, "10:00:00": false, "10:00:01": true} {
		if got := NotModified(header("If-Modified-Since: Thu, 26 Nov 2026 "+since+" GMT"), weak, now); got != want {
			t.Errorf("a weak date, and since %s: %v", since, got)
		}
	}
	if !NotModified(header("If-Modified-Since: Thu, 26 Nov 2026 10:00:00 GMT"), header("Date: Thu, 26 Nov 2026 10:00:00 GMT"), now) {
		t.Error("without Last-Modified the Date counts")
	}
	if ForOrigin(header(`If-None-Match: "a"`)) || !ForOrigin(header(`If-Match: "a"`)) || !ForOrigin(header("If-Unmodified-Since: x")) {
		t.Error("preconditions for the origin")
	}
}
