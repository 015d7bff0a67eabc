package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// served is an edge in front of two sample masters, and its client.
type served struct {
	*behind
	edge   *testEdge
	client *http.Client
}

// newServed starts an edge whose npm site has more keys.
func newServed(t testing.TB, keys string) *served {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{behind: &behind{store: store}, client: edgetest.NewClient(t, nil)}
	for i := range s.masters {
		s.masters[i] = faults.NewMaster(store)
		if s.servers[i], err = s.masters[i].Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.servers[i].Close)
	}
	// Probes would be counted.
	s.edge = newTestEdge(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }, { url: %q, role: replica }], %s }]`,
		s.servers[0].URL(), s.servers[1].URL(), keys), true)
	s.url = s.edge.cfg.PublicURL.String()
	serveEdge(t, s.edge)
	return s
}

// get fetches a path, with fields in pairs.
func (s *served) get(t *testing.T, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// Version, tag and dist-tags are parts of the one stored packument: no master is
// asked for them, and each has its own ETag and its own ranges.
func TestVersionsAreAnsweredFromThePackument(t *testing.T) {
	s := newServed(t, "")
	s.get(t, "/edge-sample-words")
	etags := map[string]string{}
	for path, want := range map[string]string{
		"/edge-sample-words/1.0.0":               "1.0.0",
		"/edge-sample-words/latest":              "1.1.0",
		"/edge-sample-words/next":                "2.0.0-beta.1",
		"/-/package/edge-sample-words/dist-tags": "",
	} {
		resp, body := s.get(t, path, "Accept", "application/vnd.npm.install-v1+json")
		var doc struct{ Version, Latest string }
		if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != http.StatusOK || doc.Version != want || want == "" && doc.Latest != "1.1.0" {
			t.Errorf("%s: %d %v %.80q", path, resp.StatusCode, err, body)
		}
		if strings.Contains(body, s.servers[0].URL()) || strings.Contains(body, s.servers[1].URL()) {
			t.Errorf("%s: a master's URL is in %q", path, body)
		}
		if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s: Content-Type %s", path, ct)
		}
		etag := resp.Header.Get("Etag")
		if other, taken := etags[etag]; taken || etag == "" {
			t.Errorf("%s and %s have the ETag %s", path, other, etag)
		}
		etags[etag] = path
		if again, _ := s.get(t, path, "If-None-Match", etag); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d with its ETag", path, again.StatusCode)
		}
		if part, got := s.get(t, path, "Range", "bytes=2-9"); part.StatusCode != http.StatusPartialContent || got != body[2:10] {
			t.Errorf("%s: %d %q", path, part.StatusCode, got)
		}
	}
	if n := s.reads("/"); n != 1 {
		t.Errorf("%d requests reached the masters; want 1", n)
	}
}

// A version that is not stored may be a new one: a master is asked, once.
func TestNewVersionIsFound(t *testing.T) {
	s := newServed(t, "fresh: { missing: 0s }")
	s.get(t, "/edge-sample-words")
	if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"}); err != nil {
		t.Fatal(err)
	}
	if resp, body := s.get(t, "/edge-sample-words/3.0.0"); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, body := s.get(t, "/edge-sample-words/9.9.9")
	if resp.StatusCode != http.StatusNotFound || body != `{"error":"version not found: 9.9.9"}`+"\n" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	for _, m := range s.masters {
		m.Break(faults.Any, faults.Status(503))
	}
	if resp, body := s.get(t, "/edge-sample-words/9.9.9"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("in an outage: %d %q", resp.StatusCode, body)
	}
	if resp, _ := s.get(t, "/edge-sample-words/3.0.0"); resp.StatusCode != http.StatusOK {
		t.Errorf("in an outage, of what is stored: %d", resp.StatusCode)
	}
}

// A stored packument answers for a slow master. A version that it lacks is waited
// for.
func TestMissingVersionIsWaitedFor(t *testing.T) {
	for name, keys := range map[string]string{
		"fresh": "fresh: { missing: 0s }, stale: { patience: 1ms }",
		"stale": "fresh: { missing: 0s, metadata: 1ms, override: true }, stale: { while_revalidate: 0s, if_error: forever, patience: 1ms }",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServed(t, keys)
			s.get(t, "/edge-sample-words")
			if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"}); err != nil {
				t.Fatal(err)
			}
			gate := faults.NewGate()
			for _, m := range s.masters {
				m.Break(faults.Path("/edge-sample-words"), faults.Hold(gate))
			}
			for _, m := range s.masters {
				arrived := m.ArrivedTimes(1+m.Count(faults.Path("/edge-sample-words")), faults.Path("/edge-sample-words"))
				go func() {
					select {
					case <-arrived:
						time.AfterFunc(100*time.Millisecond, gate.Open) // long after the client's patience
					case <-t.Context().Done():
					}
				}()
			}
			resp, body := s.get(t, "/edge-sample-words/3.0.0")
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%d %q; want 200", resp.StatusCode, body)
			}
		})
	}
}

// A package on the deny list is not served, from anywhere.
func TestDenyList(t *testing.T) {
	s := newServed(t, `deny: [edge-sample-greet, "@edge-sample/*", edge-sample-words@1.1.0]`)
	for _, path := range []string{
		"/edge-sample-greet", "/edge-sample-greet/-/edge-sample-greet-1.0.0.tgz", "/@edge-sample%2fcolour", "/-/package/edge-sample-greet/dist-tags",
		"/edge-sample-words/1.1.0", "/edge-sample-words/-/edge-sample-words-1.1.0.tgz",
	} {
		resp, body := s.get(t, path)
		var doc struct{ Error string }
		if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != http.StatusUnavailableForLegalReasons || !strings.Contains(doc.Error, "deny list") {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
	if n := s.reads("/"); n != 0 {
		t.Errorf("%d requests reached the masters", n)
	}
	for _, accept := range []string{"application/json", "application/vnd.npm.install-v1+json"} {
		resp, body := s.get(t, "/edge-sample-words", "Accept", accept)
		var doc struct {
			Tags     map[string]string `json:"dist-tags"`
			Versions map[string]any
		}
		if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %v", resp.StatusCode, err)
		}
		if _, there := doc.Versions["1.1.0"]; there || len(doc.Versions) != 3 || doc.Tags["latest"] != "1.0.0" || doc.Tags["next"] != "2.0.0-beta.1" {
			t.Errorf("%s: %v %v", accept, doc.Tags, doc.Versions)
		}
	}
	if resp, body := s.get(t, "/edge-sample-words/latest"); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"version":"1.0.0"`) {
		t.Errorf("latest: %d %q", resp.StatusCode, body)
	}
	if resp, _ := s.get(t, "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"); resp.StatusCode != http.StatusOK {
		t.Errorf("another version: %d", resp.StatusCode)
	}
}

func TestMinimumAge(t *testing.T) {
	s := newServed(t, "minimum_age: 24h")
	if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0", Published: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{
		"/edge-sample-words/-/edge-sample-words-3.0.0.tgz": 451, "/edge-sample-words/-/edge-sample-words-1.0.0.tgz": 200,
		"/edge-sample-words/3.0.0": 451, "/edge-sample-words/1.1.0": 200,
	} {
		if resp, body := s.get(t, path); resp.StatusCode != status {
			t.Errorf("%s: %d %q; want %d", path, resp.StatusCode, body, status)
		}
	}
	for _, path := range []string{"/edge-sample-words", "/-/package/edge-sample-words/dist-tags", "/edge-sample-words/latest"} {
		if _, body := s.get(t, path); strings.Contains(body, `"3.0.0":{"name"`) || strings.Contains(body, `-3.0.0.tgz`) || strings.Contains(body, `:"3.0.0","`) || !strings.Contains(body, "1.1.0") {
			t.Errorf("%s: %q", path, body)
		}
	}
}

// A master that lags takes nothing back, and its answer does not reach clients.
func TestOlderPackumentIsNotServed(t *testing.T) {
	s := newServed(t, "")
	s.masters[1].Lag()
	if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"}); err != nil {
		t.Fatal(err)
	}
	rule := s.masters[1].Break(faults.Any, faults.Status(503))
	s.get(t, "/edge-sample-words")
	rule.Mend()
	s.masters[0].Break(faults.Any, faults.Status(503))
	site := s.edge.serving().Sites[0]
	write := site.Route(http.MethodPut, "/edge-sample-words", "", http.Header{})
	if err := site.Invalidate(site.Upstreams()[0], write.Invalidates); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.masters {
		m.Forget()
	}
	resp, body := s.get(t, "/edge-sample-words")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "3.0.0") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if s.masters[1].Count(faults.Path("/edge-sample-words")) == 0 {
		t.Error("the master that lags was not asked")
	}
}

// A tarball has a strong ETag of the edge's own where its master gives none, and
// that is no master's business.
func TestTarballHasAnETag(t *testing.T) {
	s := newServed(t, "fresh: { files: 1ms, override: true }")
	const path = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	for _, m := range s.masters {
		m.Break(faults.Path(path), faults.Set("Etag", ""), faults.Set("Last-Modified", ""))
	}
	first, _ := s.get(t, path)
	etag := first.Header.Get("Etag")
	if !strings.HasPrefix(etag, `"sha512-`) || !strings.HasPrefix(first.Header.Get("Repr-Digest"), "sha-512=:") {
		t.Fatalf("ETag %s, Repr-Digest %s", etag, first.Header.Get("Repr-Digest"))
	}
	if resp, _ := s.get(t, path, "If-None-Match", etag); resp.StatusCode != http.StatusNotModified {
		t.Errorf("%d with its ETag", resp.StatusCode)
	}
	for _, m := range s.masters {
		for _, r := range m.Requests() {
			if r.Header.Get("If-None-Match") != "" && r.Path == path {
				t.Errorf("a master was asked about %s", r.Header.Get("If-None-Match"))
			}
		}
	}
}
