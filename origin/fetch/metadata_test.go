package fetch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"pkgedge/origin/documents"
	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
	"pkgedge/origin/transport"
)

// checkPackument checks the parts made of a full packument: complete, in every
// coding, and changed in nothing but the tarball URLs.
func checkPackument(t *testing.T, r *origintest.Recorder, master []byte) {
	t.Helper()
	var got []string
	for _, p := range r.Parts {
		got = append(got, p.Variant+":"+p.Encoding)
	}
	origintest.Equal(t, "parts", got, []string{
		"full:", "full:gzip", "full:zstd", "abbreviated:", "abbreviated:gzip", "abbreviated:zstd", kind.Summary + ":",
	})
	for _, variant := range []string{"full", "abbreviated"} {
		plain := r.Find(t, variant, "")
		origintest.Same(t, variant+" gzip", gunzip(t, r.Find(t, variant, "gzip")), plain)
		origintest.Same(t, variant+" zstd", unzstd(t, r.Find(t, variant, "zstd")), plain)
	}
	want, have := decode(t, master), decode(t, r.Find(t, "full", ""))
	for number, v := range have["versions"].(map[string]any) {
		dist := v.(map[string]any)["dist"].(map[string]any)
		url := dist["tarball"].(string)
		if !strings.HasPrefix(url, origintest.PublicBase+"/"+have["name"].(string)+"/-/") {
			t.Errorf("tarball of %s is at %s", number, url)
		}
		original := want["versions"].(map[string]any)[number].(map[string]any)["dist"].(map[string]any)
		if i := strings.LastIndex(url, "/"); !strings.HasSuffix(original["tarball"].(string), url[i:]) {
			t.Errorf("tarball of %s became %s", original["tarball"], url)
		}
		dist["tarball"] = original["tarball"]
	}
	if !reflect.DeepEqual(have, want) {
		t.Error("more than the tarball URLs is different")
	}
}

func decode(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatalf("%v in %.100q", err, doc)
	}
	return v
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unzstd(t *testing.T, b []byte) []byte {
	t.Helper()
	// The window that RFC 8878 section 3.1.1.1.2 lets a client insist on.
	r, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, err := r.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b) // a Buffer never fails
	w.Close()
	return out.Bytes()
}

func TestMetadataBecomesEveryVariant(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	r, err := b.get(t, aPackument)
	if err != nil {
		t.Fatal(err)
	}
	if w.A.Count(faults.Any) != 1 {
		t.Errorf("%d requests for all variants", w.A.Count(faults.Any))
	}
	checkPackument(t, r, origintest.Download(t, w.AURL+aPackument))
	if !r.Held || r.Responds != 1 || r.Status != http.StatusOK {
		t.Errorf("held %v, %d responses, status %d", r.Held, r.Responds, r.Status)
	}
	if r.Header.Get("Etag") == "" || r.Header.Get("Last-Modified") == "" || r.Header.Get("Cache-Control") == "" {
		t.Errorf("what revalidation and freshness need is gone: %v", r.Header)
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type", "Vary"} {
		if r.Header.Get(name) != "" {
			t.Errorf("%s: %s describes the master's body", name, r.Header.Get(name))
		}
	}
	if full, short := r.Parts[0].ContentType, r.Parts[3].ContentType; full != "application/json" || short != "application/vnd.npm.install-v1+json" {
		t.Errorf("types %s and %s", full, short)
	}
}

func TestSmallMetadataIsNotCompressed(t *testing.T) {
	url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"keys":[]}`) })
	r, err := newBehind(t, []string{url}).get(t, "/-/npm/v1/keys")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Parts) != 1 || r.Parts[0].Encoding != "" || string(r.Parts[0].Body) != `{"keys":[]}` {
		t.Errorf("%d parts, the first %q", len(r.Parts), r.Parts[0].Body)
	}
}

func TestMetadataIsRevalidated(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	r, err := b.get(t, aPackument)
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]pool.Request{
		"by ETag": {ETag: r.Header.Get("Etag")},
		"by date": {LastModified: r.Header.Get("Last-Modified")},
		"by both": {ETag: r.Header.Get("Etag"), LastModified: r.Header.Get("Last-Modified")},
	} {
		ask.Route = b.route(aPackument)
		again, err := b.ask(t, ask)
		if err != nil || again.Status != http.StatusNotModified || again.Held {
			t.Errorf("%s: %d, %v", name, again.Status, err)
		}
	}
	other, err := b.ask(t, pool.Request{Route: b.route(aPackument), ETag: `"older"`})
	if err != nil || other.Status != http.StatusOK {
		t.Errorf("an older ETag: %d, %v", other.Status, err)
	}
}

// The refusal of a registry is handed on in its own words, or in ours if
// they cannot be had whole.
func TestRefusalsAreRelayed(t *testing.T) {
	long := strings.Repeat("x", 65<<10)
	for _, tt := range []struct {
		name     string
		status   int
		fields   map[string]string
		body     string
		wantType string
		want     string
	}{
		{"JSON", 404, nil, `{"error":"Not found"}`, "application/json", `{"error":"Not found"}`},
		{"a bare string", 404, nil, `"version not found: 9.9.9"`, "application/json", `"version not found: 9.9.9"`},
		{"nothing", 410, nil, "", "application/json", ""},
		{"gzip", 404, map[string]string{"Content-Encoding": "gzip"}, string(zipped([]byte(`{"error":"zipped"}`))), "application/json", `{"error":"zipped"}`},
		{"not gzip", 404, map[string]string{"Content-Encoding": "gzip"}, "plain", "application/json", `{"error":"Not Found"}` + "\n"},
		{"cut gzip", 404, map[string]string{"Content-Encoding": "gzip"}, string(zipped([]byte("abcdefgh"))[:15]), "application/json", `{"error":"Not Found"}` + "\n"},
		{"a gzip bomb", 404, map[string]string{"Content-Encoding": "gzip"}, string(zipped(make([]byte, 1<<20))), "application/json", `{"error":"Not Found"}` + "\n"},
		{"a coding nobody asked for", 403, map[string]string{"Content-Encoding": "br"}, "????", "application/json", `{"error":"Forbidden"}` + "\n"},
		{"a page", 403, map[string]string{"Content-Type": "text/html"}, "<h1>No</h1>", "text/html", "<h1>No</h1>"},
		{"a page that is too long", 404, map[string]string{"Content-Type": "text/html"}, long, "application/json", `{"error":"Not Found"}` + "\n"},
		{"a paywall", 402, nil, `{"error":"pay"}`, "application/json", `{"error":"pay"}`},
	} {
		for _, path := range []string{aPackument, aTarball} {
			t.Run(tt.name+path, func(t *testing.T) {
				url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					for name, value := range tt.fields {
						w.Header().Set(name, value)
					}
					w.WriteHeader(tt.status)
					io.WriteString(w, tt.body)
				})
				b := newBehind(t, []string{url})
				r, err := b.get(t, path)
				if err != nil {
					t.Fatal(err)
				}
				if r.Status != tt.status || string(r.Body) != tt.want || r.Header.Get("Content-Type") != tt.wantType {
					t.Errorf("%d %s %.80q; want %d %s %q", r.Status, r.Header.Get("Content-Type"), r.Body, tt.status, tt.wantType, tt.want)
				}
				if r.Size != int64(len(r.Body)) || r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Length") != "" {
					t.Errorf("%d bytes of %d, %v", len(r.Body), r.Size, r.Header)
				}
			})
		}
	}
}

func TestCutRefusalIsNoAnswer(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.A.Break(faults.Any, faults.Status(404), faults.CutAfter(5))
	if r, err := b.get(t, aPackument); err != nil || r.Status != http.StatusOK || r.Responds != 1 {
		t.Errorf("%d, %v", r.Status, err)
	}
}

// largeVersions make a packument of more than a MiB: it is read in several steps, and
// written in several pieces.
const largeVersions = 1200

func TestLargeMetadata(t *testing.T) {
	doc := faults.Packument("big", largeVersions)
	if len(doc) <= 1<<20 {
		t.Fatalf("%d bytes are not large", len(doc))
	}
	var first *origintest.Recorder
	packed := zipped(doc)
	for _, coding := range []string{"gzip", ""} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("coding %q, chunked %v", coding, chunked), func(t *testing.T) {
				body := doc
				if coding == "gzip" {
					body = packed
				}
				url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					if coding != "" {
						w.Header().Set("Content-Encoding", coding)
					}
					if !chunked {
						w.Header().Set("Content-Length", strconv.Itoa(len(body)))
					}
					w.Write(body)
				})
				b := newBehind(t, []string{url})
				r, err := b.get(t, "/big")
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					checkPackument(t, r, doc)
					first = r
				}
				// The parts do not depend on the way in which the document came.
				for _, p := range first.Parts {
					origintest.Same(t, p.Variant+" "+p.Encoding, r.Find(t, p.Variant, p.Encoding), p.Body)
				}
				if len(r.Parts) != len(first.Parts) {
					t.Errorf("%d parts, want %d", len(r.Parts), len(first.Parts))
				}
				allGivenBack(t, b.documents)
			})
		}
	}
}

// The largest document is a matter of bytes, in any coding and of any size.
func TestMaxMetadata(t *testing.T) {
	doc := faults.Packument("big", 100)
	huge := faults.Packument("big", largeVersions)
	if len(huge) <= 1<<20 {
		t.Fatalf("%d bytes are not large", len(huge))
	}
	for _, tt := range []struct {
		name string
		body []byte
		max  int
		ok   bool
	}{
		{"exactly", doc, len(doc), true},
		{"one less", doc, len(doc) - 1, false},
		{"large, exactly", huge, len(huge), true},
		{"large, one less", huge, len(huge) - 1, false},
		{"large, one MiB", huge, 1 << 20, false},
		{"tiny", doc, 10, false},
	} {
		packed := zipped(tt.body)
		for _, coding := range []string{"gzip", ""} {
			t.Run(tt.name+coding, func(t *testing.T) {
				url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
					if coding != "" {
						w.Header().Set("Content-Encoding", coding)
						w.Write(packed)
						return
					}
					w.Write(tt.body)
				})
				b := newBehind(t, []string{url}, maxMetadata(int64(tt.max)))
				r, err := b.get(t, "/big")
				if tt.ok {
					if err != nil {
						t.Fatal(err)
					}
					origintest.Same(t, "gzip", gunzip(t, r.Find(t, "full", "gzip")), r.Find(t, "full", ""))
					return
				}
				isUnavailable(t, err)
				if !errors.Is(err, errMetadata) || r.Responds != 0 {
					t.Errorf("err = %v, %d responses", err, r.Responds)
				}
			})
		}
	}
}

// A gzip trailer that lies about the size does not buy more memory.
func TestGzipTrailerIsNotBelieved(t *testing.T) {
	doc := faults.Packument("big", largeVersions)
	body := zipped(doc)
	copy(body[len(body)-4:], []byte{1, 0, 0, 0}) // one byte
	url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(body)
	})
	b := newBehind(t, []string{url})
	if _, err := b.get(t, "/big"); !errors.Is(err, errMetadata) {
		t.Errorf("err = %v; want %v", err, errMetadata)
	}
}

// The response may be one that is not wanted.
func TestSinkEndsTheFetch(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	for _, path := range []string{aPackument, aTarball, "/none", "/none/-/none-1.0.0.tgz"} {
		r := &origintest.Recorder{Refuse: errors.New("not wanted")}
		if err := b.Fetch(t.Context(), pool.Request{Route: b.route(path)}, r); !errors.Is(err, r.Refuse) || r.Responds != 1 {
			t.Errorf("%s: err = %v after %d responses; want %v", path, err, r.Responds, r.Refuse)
		}
		if n := w.B.Count(faults.Path(path)); n != 0 {
			t.Errorf("%s: another master was asked %d times", path, n)
		}
	}
}

func TestReadUpTo(t *testing.T) {
	const limit = 200 << 10
	for _, size := range []int{0, 1, limit - 1, limit, limit + 1, 3 * limit} {
		for _, hint := range []int64{-1, 0, 5, int64(size), 10 * limit, 1 << 62} {
			for _, given := range []int{0, 100} {
				src := tarball.Noise("x", size)
				head := min(given, size)
				got, whole, err := documents.ReadUpTo(iotestOneByteFirst(src[head:]), bytes.Clone(src[:head]), hint, limit)
				if err != nil {
					t.Fatal(err)
				}
				if whole != (size <= limit) {
					t.Errorf("%d bytes, hint %d: whole is %v", size, hint, whole)
				}
				if want := src[:min(size, limit+1)]; !bytes.Equal(got, want) {
					t.Errorf("%d bytes, hint %d, %d given: got %d", size, hint, given, len(got))
				}
				if cap(got) > 2*limit {
					t.Errorf("%d bytes, hint %d: room for %d was made", size, hint, cap(got))
				}
			}
		}
	}
}

// iotestOneByteFirst gives a byte, and then the rest.
func iotestOneByteFirst(b []byte) io.Reader {
	n := min(1, len(b))
	return io.MultiReader(bytes.NewReader(b[:n]), bytes.NewReader(b[n:]))
}

// A shorter lifetime lifts no no-transform.
func TestNoTransformStays(t *testing.T) {
	for _, tt := range []struct {
		h    http.Header
		want string
	}{
		{http.Header{}, "public, max-age=60"},
		{http.Header{"Cache-Control": {"max-age=300"}}, "public, max-age=60"},
		{http.Header{"Cache-Control": {"max-age=300", "public , No-Transform"}}, "public, max-age=60, no-transform"},
		{http.Header{"Cdn-Cache-Control": {"no-transform"}}, "public, max-age=60, no-transform"},
	} {
		before := tt.h.Clone()
		if have := transport.CacheControl(tt.h, "public, max-age=60"); have != tt.want {
			t.Errorf("%v: %q, want %q", before, have, tt.want)
		}
		expireAt(tt.h, time.Now().Add(time.Minute+500*time.Millisecond))
		if have := tt.h["Cache-Control"]; len(have) != 1 || have[0] != tt.want || tt.h["Cdn-Cache-Control"] != nil {
			t.Errorf("%v expires: %q, want %q", before, tt.h, tt.want)
		}
	}
}
