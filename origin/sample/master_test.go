package sample_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

func TestEverySampleTarballHasItsDigestsBelowItsMaster(t *testing.T) {
	store := samples(t)
	_, s := serve(t, store)
	c := client(t)
	auth := "Authorization: Bearer " + store.Grant("reader")
	tarballs := 0
	for _, name := range []string{
		"edge-sample-app", "edge-sample-greet", "edge-sample-words",
		"@edge-sample/colour", "edge-sample-payload", "@edge-private/notes",
	} {
		doc := decode[packument](t, send(t, c, "GET", s.URL()+"/"+name, "", auth).body)
		if doc.Name != name || doc.ID != name || doc.Rev == "" || doc.Tags["latest"] == "" {
			t.Errorf("%s: packument is %+v", name, doc)
		}
		for number, v := range doc.Versions {
			if !strings.HasPrefix(v.Dist.Tarball, s.URL()+"/"+name+"/-/") {
				t.Errorf("tarball of %s@%s is at %s", name, number, v.Dist.Tarball)
			}
			if doc.Time[number] == "" {
				t.Errorf("%s@%s has no time", name, number)
			}
			body := send(t, c, "GET", v.Dist.Tarball, "", auth).body
			if tarball.Integrity(body) != v.Dist.Integrity || tarball.Shasum(body) != v.Dist.Shasum {
				t.Errorf("digests of %s@%s are not those of its tarball", name, number)
			}
			tarballs++
			if name == "edge-sample-payload" && len(body) < 300_000 {
				t.Errorf("the payload is only %d bytes", len(body))
			}
		}
	}
	if tarballs != 11 {
		t.Errorf("saw %d tarballs", tarballs)
	}
}

func TestSamplesAreTheSameOnEveryRun(t *testing.T) {
	one, two := samples(t), samples(t)
	etag := func(s *sample.Store, path string) string {
		w := httptest.NewRecorder()
		faults.NewMaster(s).ServeHTTP(w, httptest.NewRequest("GET", "http://registry.example"+path, nil))
		return w.Header().Get("Etag")
	}
	for _, path := range []string{"/edge-sample-words", "/edge-sample-app/-/edge-sample-app-1.0.0.tgz"} {
		if a, b := etag(one, path), etag(two, path); a == "" || a != b {
			t.Errorf("%s: ETags %q and %q", path, a, b)
		}
	}
}

func TestAllFormsOfAPathAreOne(t *testing.T) {
	m, s := serve(t, samples(t))
	c := client(t)
	for _, path := range []string{
		"/@edge-sample/colour", "/@edge-sample%2fcolour", "/@edge-sample%2Fcolour", "/%40edge-sample%2Fcolour",
	} {
		if got := decode[packument](t, send(t, c, "GET", s.URL()+path, "").body); got.Name != "@edge-sample/colour" {
			t.Errorf("%s: name %q", path, got.Name)
		}
		for _, below := range []string{"/1.0.0", "/latest", "/-/colour-1.0.0.tgz"} {
			if got := send(t, c, "GET", s.URL()+path+below, ""); got.status != 200 {
				t.Errorf("%s: status %d", path+below, got.status)
			}
		}
	}
	want := faults.Line{Method: "GET", Path: "/@edge-sample/colour", Variant: "full"}
	if n := m.Counts()[want]; n != 4 {
		t.Errorf("counted %d, want 4", n)
	}
}

func TestReadmeHoldsATarballURLOfItsMaster(t *testing.T) {
	_, s := serve(t, samples(t))
	doc := decode[packument](t, send(t, client(t), "GET", s.URL()+"/edge-sample-words", "").body)
	if want := s.URL() + "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"; strings.Count(doc.Readme, want) != 2 {
		t.Errorf("readme is %q", doc.Readme)
	}
}

func TestConditionsAreKept(t *testing.T) {
	_, s := serve(t, samples(t))
	c := client(t)
	for _, path := range []string{"/edge-sample-words", "/edge-sample-words/latest", "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"} {
		first := send(t, c, "GET", s.URL()+path, "")
		tag, date := first.header.Get("Etag"), first.header.Get("Last-Modified")
		for _, tc := range []struct {
			rule    string
			headers []string
			want    int
		}{
			{"the ETag", []string{"If-None-Match: " + tag}, 304},
			{"a list with the ETag", []string{`If-None-Match: "a", W/` + tag}, 304},
			{"another ETag", []string{`If-None-Match: "a"`}, 200},
			{"the date", []string{"If-Modified-Since: " + date}, 304},
			{"an older date", []string{"If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT"}, 200},
			{"another ETag wins over the date", []string{`If-None-Match: "a"`, "If-Modified-Since: " + date}, 200},
		} {
			got := send(t, c, "GET", s.URL()+path, "", tc.headers...)
			if got.status != tc.want {
				t.Errorf("%s, %s: %d, want %d", path, tc.rule, got.status, tc.want)
			}
			if got.status == 304 && (got.header.Get("Etag") != tag || got.header.Get("Last-Modified") != date ||
				got.header.Get("Vary") != "Accept-Encoding" && path == "/edge-sample-words") {
				t.Errorf("%s, %s: headers %v", path, tc.rule, got.header)
			}
		}
	}
}

func TestTarballsHaveRanges(t *testing.T) {
	_, s := serve(t, samples(t))
	c := client(t)
	url := s.URL() + "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz"
	whole := send(t, c, "GET", url, "")
	h := whole.header
	if h.Get("Cache-Control") != "public, immutable, max-age=31557600" || h.Get("Set-Cookie") == "" ||
		h.Get("Accept-Ranges") != "bytes" || h.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("headers: %v", h)
	}
	for _, tc := range []struct {
		rule    string
		headers []string
		status  int
		body    []byte
	}{
		{"the first bytes", []string{"Range: bytes=0-9"}, 206, whole.body[:10]},
		{"the last bytes", []string{"Range: bytes=-5"}, 206, whole.body[len(whole.body)-5:]},
		{"If-Range that holds", []string{"Range: bytes=10-", "If-Range: " + h.Get("Etag")}, 206, whole.body[10:]},
		{"If-Range that does not", []string{"Range: bytes=10-", `If-Range: "a"`}, 200, whole.body},
	} {
		got := send(t, c, "GET", url, "", tc.headers...)
		if got.status != tc.status || !bytes.Equal(got.body, tc.body) {
			t.Errorf("%s: %d with %d bytes", tc.rule, got.status, len(got.body))
		}
	}
	if got := send(t, c, "GET", url, "", "Range: bytes=9999999-"); got.status != 416 {
		t.Errorf("a range beyond the end: %d", got.status)
	}
	head := send(t, c, "HEAD", url, "")
	if head.status != 200 || head.length != int64(len(whole.body)) || len(head.body) != 0 {
		t.Errorf("HEAD: %d, length %d, %d bytes", head.status, head.length, len(head.body))
	}
}

func TestErrorsHaveTheRegistrysShape(t *testing.T) {
	m, s := serve(t, samples(t))
	c := client(t)
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/none", 404, `{"error":"Not found"}`},
		{"GET", "/none/1.0.0", 404, `{"error":"Not found"}`},
		{"GET", "/edge-sample-words/9.9.9", 404, `"version not found: 9.9.9"`},
		{"GET", "/edge-sample-words/-/none.tgz", 404, `{"error":"Not found"}`},
		{"GET", "/@edge-private/notes", 401, `{"error":"Unauthorized"}`},
		{"GET", "/@edge-private/notes/-/notes-1.0.0.tgz", 401, `{"error":"Unauthorized"}`},
		{"GET", "/-/whoami", 401, `{"error":"Unauthorized"}`},
		{"PUT", "/edge-sample-words", 401, `{"error":"Unauthorized"}`},
		{"POST", "/-/v1/login", 404, `{"error":"Not found"}`},
		{"GET", "/-/ping", 200, `{}`},
		{"GET", "/", 200, `{}`},
		{"POST", "/-/npm/v1/security/advisories/bulk", 200, `{}`},
		{"GET", "/-/package/edge-sample-words/dist-tags", 200, `{"latest":"1.1.0","next":"2.0.0-beta.1"}`},
	} {
		if got := send(t, c, tc.method, s.URL()+tc.path, ""); got.status != tc.status || string(got.body) != tc.body {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, got.status, got.body)
		}
	}
	if got := send(t, c, "GET", strings.TrimSuffix(s.URL(), "/registry")+"/edge-sample-words", ""); got.status != 404 {
		t.Errorf("outside the base path: %d", got.status)
	}
	if n := m.Count(faults.Path("/-/ping")); n != 1 {
		t.Errorf("%d pings were recorded", n)
	}
}

func TestPrivatePackagesNeedAToken(t *testing.T) {
	store := samples(t)
	_, s := serve(t, store)
	auth := "Authorization: Bearer " + store.Grant("reader")
	got := send(t, client(t), "GET", s.URL()+"/@edge-private%2fnotes", "", auth)
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Cache-Control"), "private") {
		t.Errorf("%d, %v", got.status, got.header)
	}
}

func TestSearchFindsByNameAndDescription(t *testing.T) {
	_, s := serve(t, samples(t))
	c := client(t)
	type result struct {
		Total   int
		Objects []struct{ Package struct{ Name string } }
	}
	for _, tc := range []struct {
		query string
		total int
		names string
	}{
		{"text=colour", 1, "@edge-sample/colour"},
		{"text=Greets", 1, "edge-sample-greet"},
		{"text=notes", 0, ""},
		{"text=edge-sample-&size=2&from=1", 4, "edge-sample-greet edge-sample-payload"},
	} {
		got := decode[result](t, send(t, c, "GET", s.URL()+"/-/v1/search?"+tc.query, "").body)
		var names []string
		for _, o := range got.Objects {
			names = append(names, o.Package.Name)
		}
		if got.Total != tc.total || strings.Join(names, " ") != tc.names {
			t.Errorf("%s: %d, %q", tc.query, got.Total, names)
		}
	}
}

func TestCacheControlIsAChoice(t *testing.T) {
	for _, want := range []string{"", "no-cache"} {
		_, s := serve(t, samples(t), faults.CacheControl(want))
		got := send(t, client(t), "GET", s.URL()+"/edge-sample-app", "").header
		if got.Get("Cache-Control") != want || got.Get("Etag") == "" {
			t.Errorf("%q: %v", want, got)
		}
	}
}

func TestMastersShareAStoreAndOneMayLag(t *testing.T) {
	store := samples(t)
	a, sa := serve(t, store)
	b, sb := serve(t, store)
	c := client(t)
	b.Lag()
	if err := store.AddPackage("edge-sample-words", sample.Version{Number: "1.2.0"}); err != nil {
		t.Fatal(err)
	}
	latest := func(s *sample.Server) string {
		return decode[packument](t, send(t, c, "GET", s.URL()+"/edge-sample-words", "").body).Tags["latest"]
	}
	if got := []string{latest(sa), latest(sb)}; !slices.Equal(got, []string{"1.2.0", "1.1.0"}) {
		t.Errorf("latest is %q", got)
	}
	if got := send(t, c, "GET", sb.URL()+"/edge-sample-words/-/edge-sample-words-1.2.0.tgz", ""); got.status != 404 {
		t.Errorf("the lagging master has the new tarball: %d", got.status)
	}
	b.CatchUp()
	if got := latest(sb); got != "1.2.0" {
		t.Errorf("latest is %q after catching up", got)
	}
	if a.Count(faults.Any) != 1 || b.Count(faults.Any) != 3 {
		t.Errorf("%d and %d requests", a.Count(faults.Any), b.Count(faults.Any))
	}
	if a.Store() != store {
		t.Error("the master has another store")
	}
}

func TestEverythingMayHappenAtOnce(t *testing.T) {
	store := samples(t)
	a, sa := serve(t, store)
	b, sb := serve(t, store)
	c := client(t)
	var all sync.WaitGroup
	const each = 20
	for worker := range 4 {
		all.Go(func() {
			for i := range each {
				if err := store.AddPackage("busy", sample.Version{Number: fmt.Sprintf("%d.%d.0", worker, i)}); err != nil {
					t.Error(err)
				}
				rule := a.BreakNext(1, faults.Path("/busy"), faults.Status(503))
				b.Lag()
				for _, url := range []string{sa.URL(), sb.URL()} {
					got, err := try(t, c, "GET", url+"/busy", "", abbreviated)
					if err != nil || got.status != 200 && got.status != 503 {
						t.Errorf("%d, %v", got.status, err)
					}
				}
				b.CatchUp()
				rule.Mend()
			}
		})
	}
	all.Wait()
	if n := a.Count(faults.Path("/busy")); n != 4*each {
		t.Errorf("%d requests, want %d", n, 4*each)
	}
	if got := decode[packument](t, send(t, c, "GET", sa.URL()+"/busy", "").body); len(got.Versions) != 4*each {
		t.Errorf("%d versions, want %d", len(got.Versions), 4*each)
	}
}

// FuzzGet asks for anything, in any form: no request makes the master fail, and
// the form of a packument is the one that was recorded.
func FuzzGet(f *testing.F) {
	f.Add("/edge-sample-words", strings.TrimPrefix(abbreviated, "Accept: "), "gzip")
	f.Add("/@edge-sample/colour/-/colour-1.0.0.tgz", "", "gzip;q=0.5, br")
	f.Add("/-/v1/search", ";;q=,", ";q=")
	f.Add("/-/user/org.couchdb.user:", "*/*", "")
	f.Add("/-/package/@/dist-tags", "", "")
	f.Add("//-//@", "", "")
	store, err := sample.Samples()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, accept, coding string) {
		m := faults.NewMaster(store)
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://registry.example/", nil)
		r.URL = &url.URL{Path: path}
		r.Header = http.Header{"Accept": {accept}, "Accept-Encoding": {coding}}
		m.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d", w.Code)
		}
		short := strings.HasPrefix(w.Header().Get("Content-Type"), "application/vnd.npm")
		if short && m.Requests()[0].Variant != "abbreviated" {
			t.Fatalf("%q was recorded as full and answered abbreviated", accept)
		}
	})
}
