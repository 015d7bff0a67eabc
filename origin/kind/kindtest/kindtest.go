package kindtest

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pkgedge/origin/kind"
)

// Samples are requests and bodies of one kind, which the suite cannot guess.
type Samples struct {
	// Things are cacheable things. Each is a list of requests that all ask
	// for the same thing; different lists ask for different things.
	Things [][]kind.Request

	// Passed are requests that reach a master and are never stored.
	Passed []kind.Request

	// Refused are requests that the edge must refuse.
	Refused []kind.Request

	Metadata []Metadata
	Files    []File
}

// Metadata is a metadata request with bodies a master might answer it with.
type Metadata struct {
	Request kind.Request
	Good    [][]byte
	Bad     [][]byte // besides the empty body and an HTML page, which the suite tries itself
}

// File is a request for a file whose digest its list has.
type File struct {
	Request kind.Request
	List    []byte // the body of the metadata that lists it
	Digest  kind.Digest
	Unknown kind.Request // a file of the same list that is not in it
}

// Run checks the kind that a descriptor makes, and the descriptor. The samples must
// name at least one thing, one piece of metadata and one file.
func Run(t *testing.T, d kind.Descriptor, s Samples) {
	k, err := d.New(kind.Options{PublicBase: "http://edge.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("descriptor", func(t *testing.T) { Describes(t, d, k, slices.Concat(slices.Concat(s.Things...), s.Passed)) })
	if len(s.Things) == 0 || len(s.Metadata) == 0 || len(s.Files) == 0 {
		t.Fatal("kindtest: samples lack things, metadata or files")
	}
	t.Run("routes are well formed", func(t *testing.T) { routes(t, k, s) })
	t.Run("keys name things", func(t *testing.T) { keys(t, k, s) })
	t.Run("hostile requests do no harm", func(t *testing.T) { Hostile(t, k, slices.Concat(s.Things...)) })
	for _, m := range s.Metadata {
		t.Run("prepare "+m.Request.Path, func(t *testing.T) { prepare(t, k, m) })
	}
	for _, f := range s.Files {
		t.Run("digest "+f.Request.Path, func(t *testing.T) { digest(t, k, f) })
	}
	t.Run("many callers at once", func(t *testing.T) { concurrent(t, k, s) })
}

func routes(t *testing.T, k kind.Kind, s Samples) {
	for _, thing := range s.Things {
		for _, r := range thing {
			route := k.Route(r)
			wellFormed(t, r, route)
			if !route.Class.Cacheable() {
				t.Errorf("%s %q: not cacheable but class %d: %s", r.Method, r.Path, route.Class, route.Reply.Text)
			}
		}
	}
	for _, r := range s.Passed {
		route := k.Route(r)
		wellFormed(t, r, route)
		if route.Class != kind.PassPrimary && route.Class != kind.PassAny {
			t.Errorf("%s %q: not passed but class %d", r.Method, r.Path, route.Class)
		}
	}
	for _, r := range s.Refused {
		route := k.Route(r)
		wellFormed(t, r, route)
		if route.Class != kind.Refuse {
			t.Errorf("%s %q: not refused but class %d", r.Method, r.Path, route.Class)
		}
	}
}

// keys checks that the same thing has one key, different things have
// different ones, and that the path for a master names that thing again.
func keys(t *testing.T, k kind.Kind, s Samples) {
	owner := map[string]string{}
	for _, thing := range s.Things {
		first := k.Route(thing[0])
		name := first.Key + "\x00" + first.Subdocument.Name
		if other, taken := owner[name]; taken {
			t.Errorf("%q and %q have the key %q", other, thing[0].Path, first.Key)
		}
		owner[name] = thing[0].Path
		for _, r := range thing {
			route := k.Route(r)
			if route.Key != first.Key || route.Subdocument.Name != first.Subdocument.Name || route.Path != first.Path || route.Group != first.Group {
				t.Errorf("%q is %+v\n%q is %+v", thing[0].Path, first, r.Path, route)
			}
			path, query, _ := strings.Cut(route.Path, "?")
			again := k.Route(kind.Request{Method: http.MethodGet, Path: path, Query: query, Header: r.Header})
			if again.Key != route.Key || again.Path != route.Path {
				t.Errorf("%q asks a master for %q, which is %+v", r.Path, route.Path, again)
			}
		}
	}
}

// Hostile sends requests that no client should, and variations of sound ones.
func Hostile(t *testing.T, k kind.Kind, sound []kind.Request) {
	paths := []string{
		"", "*", "x", "//", "/..", "/../..", "/%2e%2e/", "/.%2E/x", "/a/../b", "/a/%2e%2e%2fb", "/a/..%5c..%5cb", "/a\\..\\b",
		"/%", "/%2", "/%zz", "/%00", "/a%00b", "/a\x00b", "/a\r\nHost: b", "/a%0d%0aHost:b", "/..;/x", "/..;a=b/x", "/%2e%2e%3b/x", "/a/..;/..;/x", "/a%250d", "/%252e%252e/x", "/a%252fb",
		"/a b", "/a#b", "/a?b", "/\xff", "/%ff%fe", "/%c0%ae%c0%ae/x", "/\u202e", "/\x7f", "http://h.example/a",
		"/" + strings.Repeat("a", 1<<16), "/" + strings.Repeat("a/", 1<<12), "/" + strings.Repeat("%2e", 1<<12), "/" + strings.Repeat("@", 999),
	}
	for _, r := range sound {
		p := r.Path
		paths = append(paths, p+"/", p+"//", p+"/..", p+"/../x", p+"%2f..", p+"/%2e%2e/x", p+"%00", p+"\n", p+"%", "/"+p, p+"\\x", p+"%252f", p+"/.", p+"/..;/x", p+"/..%3bx")
		for i := range p {
			paths = append(paths, p[:i], p[:i]+"%2e%2e/"+p[i:], p[:i]+"\x00"+p[i:], p[:i]+"/"+p[i:], p[:i]+"%25"+p[i:])
		}
	}
	methods := []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "", "get", "G\r\nT", "BREW"}
	queries := []string{"", "write=true", "a b", "a\r\nb", "%", "\xff", "#", strings.Repeat("&", 1<<10)}
	for _, path := range paths {
		for _, method := range methods {
			for _, query := range queries {
				r := kind.Request{Method: method, Path: path, Query: query}
				wellFormed(t, r, k.Route(r))
			}
		}
	}
	for _, accept := range []string{"", ",", ";", ";q", "*/*;q=", `"`, `\`, "a/b;q=9,;", strings.Repeat("*/*,", 1<<10), "\x00\xff"} {
		for _, r := range sound {
			r.Header = http.Header{"Accept": {accept, accept}, "Authorization": {accept}, "": nil}
			wellFormed(t, r, k.Route(r))
		}
	}
}

// wellFormed checks the rules for every route.
func wellFormed(t *testing.T, r kind.Request, route kind.Route) {
	t.Helper()
	bad := func(why string) {
		t.Helper()
		t.Errorf("%s %.99q ?%.99q: %s: %+.999v", r.Method, r.Path, r.Query, why, route)
	}
	if route.Endpoint == "" || len(route.Endpoint) > 32 {
		bad("What is no word")
	}
	if (route.Key != "") != route.Class.Cacheable() {
		bad("a key belongs to what is cacheable, and to nothing else")
	}
	if route.Class.Cacheable() && r.Method != http.MethodGet && r.Method != http.MethodHead {
		bad("only reads are cacheable")
	}
	if len(route.Invalidates) > 0 && (route.Class != kind.PassPrimary || r.Method == http.MethodGet || r.Method == http.MethodHead) {
		bad("only a write touches")
	}
	for _, m := range route.Invalidates {
		if m.Name == "" {
			bad("a mark has no name")
		}
	}
	switch route.Class {
	case kind.Refuse, kind.Off:
		if route.Reply.Status < 400 || route.Reply.Status > 499 {
			bad("the status is not 4xx")
		}
		if route.Reply.Text == "" || strings.ContainsAny(route.Reply.Text, "\r\n") || len(route.Reply.Text) > 200 {
			bad("the reason is not one clear line")
		}
	case kind.Local:
		if route.Reply.Status < 200 || route.Reply.Status > 299 || route.Reply.ContentType == "" {
			bad("a local answer lacks status or type")
		}
	case kind.PassPrimary, kind.PassAny, kind.Metadata, kind.File:
		if why := safePath(route.Path); why != "" {
			bad(why)
		}
		if route.Reply.Status != 0 {
			bad("what reaches a master has no status of its own")
		}
	default:
		bad("no such class")
	}
}

// safePath returns the fault of a path for a master, "" for none.
func safePath(path string) string {
	if path == "" || path[0] != '/' {
		return "the path has no slash before it"
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "the path has a byte that must be escaped"
		}
	}
	path, _, _ = strings.Cut(strings.ToLower(path), "?")
	if strings.Contains(path, "%00") || strings.Contains(path, "%0a") || strings.Contains(path, "%0d") || strings.Contains(path, "%5c") {
		return "the path hides a control byte or a backslash"
	}
	plain := strings.NewReplacer("%2e", ".", "%2f", "/", "%3b", ";").Replace(path)
	for segment := range strings.SplitSeq(plain, "/") {
		// A server may take the name before a semicolon for the whole of it.
		if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
			return "the path has a dot segment"
		}
	}
	return ""
}

func prepare(t *testing.T, k kind.Kind, m Metadata) {
	route := k.Route(m.Request)
	if route.Class != kind.Metadata {
		t.Fatalf("class %d is not metadata", route.Class)
	}
	for _, body := range m.Good {
		before := bytes.Clone(body)
		documents, err := k.Prepare(route, kind.Source{Body: body})
		if err != nil {
			t.Errorf("%.99q: %v", body, err)
			continue
		}
		if !bytes.Equal(body, before) {
			t.Errorf("%.99q: the body has been changed", before)
		}
		var variants []string
		for _, d := range documents {
			if slices.Contains(variants, d.Variant) {
				t.Errorf("%.99q: two documents are %q", body, d.Variant)
			}
			variants = append(variants, d.Variant)
			if d.ContentType == "" {
				t.Errorf("%.99q: document %q has no type", body, d.Variant)
			}
			first, second := content(t, d), content(t, d)
			if !bytes.Equal(first, second) {
				t.Errorf("%.99q: document %q is not the same twice", body, d.Variant)
			}
			failing(t, d)
		}
		if i := slices.Index(variants, kind.Summary); i >= 0 {
			if _, err := k.Prepare(route, kind.Source{Body: body, Summary: content(t, documents[i])}); err != nil {
				t.Errorf("%.99q: does not replace itself: %v", body, err)
			}
		}
		if !slices.Contains(variants, route.Variant) {
			t.Errorf("%.99q: no document is the variant %q asked for", body, route.Variant)
		}
	}
	for _, body := range append([][]byte{nil, {}, []byte("<!DOCTYPE html><title>502 Bad Gateway</title>")}, m.Bad...) {
		if documents, err := k.Prepare(route, kind.Source{Body: body}); err == nil || len(documents) > 0 {
			t.Errorf("%.99q is accepted", body)
		}
	}
}

// Contents writes documents, checks their sizes, and returns them by variant.
func Contents(t testing.TB, documents []kind.Document) map[string]string {
	t.Helper()
	byVariant := map[string]string{}
	for _, d := range documents {
		byVariant[d.Variant] = string(content(t, d))
	}
	return byVariant
}

// content writes a document and checks its size.
func content(t testing.TB, d kind.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := d.Body.WriteTo(&b)
	if err != nil || n != int64(b.Len()) || n != d.Size {
		t.Errorf("document %q: wrote %d, reported %d, size %d: %v", d.Variant, b.Len(), n, d.Size, err)
	}
	return b.Bytes()
}

var errFull = errors.New("no space left")

// full is a writer that takes some bytes and then fails.
type full struct{ room int }

func (w *full) Write(b []byte) (int, error) {
	n := min(w.room, len(b))
	w.room -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

// failing checks that an error of the writer comes back, with the count.
func failing(t *testing.T, d kind.Document) {
	t.Helper()
	if d.Size == 0 {
		return
	}
	for _, room := range []int64{0, d.Size / 2, d.Size - 1} {
		if n, err := d.Body.WriteTo(&full{int(room)}); !errors.Is(err, errFull) || n != room {
			t.Errorf("document %q: wrote %d of %d to a writer that fails after %d: %v", d.Variant, n, d.Size, room, err)
		}
	}
}

func digest(t *testing.T, k kind.Kind, f File) {
	route := k.Route(f.Request)
	if route.Class != kind.File {
		t.Fatalf("class %d is not a file", route.Class)
	}
	lists := k.Lists(route)
	if len(lists) == 0 {
		t.Fatal("nothing lists it")
	}
	list := lists[0]
	wellFormed(t, f.Request, list)
	if list.Class != kind.Metadata || list.Variant != kind.Summary {
		t.Errorf("its list is %+v", list)
	}
	documents, err := k.Prepare(list, kind.Source{Body: f.List})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(documents, func(d kind.Document) bool { return d.Variant == kind.Summary })
	if i < 0 {
		t.Fatal("its list has no digests")
	}
	digests := content(t, documents[i])
	got, ok := k.Digest(route, digests)
	if !ok || got.Algorithm != f.Digest.Algorithm || !bytes.Equal(got.Sum, f.Digest.Sum) {
		t.Errorf("got %s %x, %v, want %s %x", got.Algorithm, got.Sum, ok, f.Digest.Algorithm, f.Digest.Sum)
	}
	if f.Unknown.Path != "" {
		if got, ok := k.Digest(k.Route(f.Unknown), digests); ok {
			t.Errorf("%q is not listed, yet has %s %x", f.Unknown.Path, got.Algorithm, got.Sum)
		}
	}
}

// concurrent lets the race detector see every method at work.
func concurrent(t *testing.T, k kind.Kind, s Samples) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, thing := range s.Things {
				k.Route(thing[0])
			}
			for _, m := range s.Metadata {
				for _, body := range m.Good {
					documents, err := k.Prepare(k.Route(m.Request), kind.Source{Body: body})
					if err != nil {
						t.Error(err)
					}
					var writers sync.WaitGroup
					for range 2 {
						writers.Go(func() {
							for _, d := range documents {
								content(t, d)
							}
						})
					}
					writers.Wait()
				}
			}
			for _, f := range s.Files {
				digest(t, k, f)
			}
		})
	}
	group.Wait()
}
