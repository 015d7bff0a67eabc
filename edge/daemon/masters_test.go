package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/operator"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// behindTwo is an edge in front of two sample masters, whose answers are stale
// at once, and its admin listener's handler.
type behindTwo struct {
	*client
	servers []*sample.Server
	masters []*faults.Master
	admin   http.Handler
}

func newBehindTwo(t *testing.T, more string) *behindTwo {
	t.Helper()
	return newBehindTwoOn(t, more, false)
}

// newBehindTwoOn has a disk tier or none.
func newBehindTwoOn(t *testing.T, more string, disk bool) *behindTwo {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	b := &behindTwo{}
	for range 2 {
		m := faults.NewMaster(store)
		s, err := m.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		b.masters, b.servers = append(b.masters, m), append(b.servers, s)
	}
	b.client = newTestClient(t, fmt.Sprintf(`
sites:
  - name: npm
    masters:
      - { url: %q, role: primary }
      - { url: %q, role: replica }
    fresh: { metadata: 1ns, override: true }
    stale: { while_revalidate: 0s }
%s`, b.servers[0].URL(), b.servers[1].URL(), more), disk)
	b.edge.registerMetrics()
	b.admin = admin.New(admin.Config{
		Purger: purger{b.edge.Daemon}, Drainer: drainer{b.edge.Daemon}, Explainer: operator.Explainer{Sites: b.edge.sites}, Status: b.edge.status, Ready: b.edge.ready,
		Metrics: b.edge.metrics.Handler(), Logger: edgetest.QuietLog(),
	})
	return b
}

// operator asks the admin listener.
func (b *behindTwo) operator(method, path string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:8081", "127.0.0.1:40000"
	w := httptest.NewRecorder()
	b.admin.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// status is that of the site.
func (b *behindTwo) status() (s struct {
	Outage  bool
	Since   time.Time `json:"outage_since"`
	Masters []struct {
		State, Why, Role string
		Drained          bool
	}
}) {
	b.t.Helper()
	_, text := b.operator("GET", "/status")
	doc := struct{ Sites []any }{[]any{&s}}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		b.t.Fatalf("%v in %s", err, text)
	}
	return s
}

func TestOutageIsSeenEverywhere(t *testing.T) {
	const stored, missing = "/edge-sample-words", "/edge-sample-app"
	b := newBehindTwo(t, "    probe: { path: /-/ping, every: 20ms, fall: 2 }\n")
	b.want(b.send("GET", stored), 200)
	if s := b.status(); s.Outage || s.Masters[0].State != "healthy" || s.Masters[0].Role != "primary" {
		t.Errorf("before: %+v", s)
	}
	for _, s := range b.servers {
		s.Refuse()
	}
	for range 10 { // requests put out one of the masters, and never the last
		b.want(b.send("GET", "/none"), 503)
	}
	edgetest.Until(t, "an outage", func() bool { return b.status().Outage })
	begun := time.Now()
	a := b.send("GET", stored)
	b.want(a, 200, "!Proxy-Status")
	if told := a.Header.Get("Cache-Status"); !strings.Contains(told, "detail=outage") {
		t.Errorf("Cache-Status %q; want detail=outage", told)
	}
	a = b.send("GET", missing)
	b.want(a, 503, "Retry-After: *", "Proxy-Status: *")
	if told := a.Header.Get("Cache-Status"); !strings.Contains(told, "detail=outage") {
		t.Errorf("Cache-Status %q; want detail=outage", told)
	}
	if s := b.status(); s.Since.After(begun) || s.Masters[1].State != "out" || !strings.Contains(s.Masters[1].Why, "probes of /-/ping found the connection refused") {
		t.Errorf("%+v", s)
	}
	_, metrics := b.operator("GET", "/metrics")
	for _, line := range []string{
		`edge_outage{pool="masters",site="npm"} 1`,
		`edge_outages_total{pool="masters",site="npm"} 1`,
		`edge_master_up{master="` + b.servers[0].URL() + `",pool="masters",site="npm"} 0`,
		`edge_master_state{master="` + b.servers[0].URL() + `",pool="masters",site="npm",state="out"} 1`,
		`edge_probe_age_seconds{master="` + b.servers[0].URL() + `",pool="masters",site="npm"} `,
		`edge_hedges_total{pool="masters",site="npm"} 0`,
		`edge_retries_total{pool="masters",site="npm"} `,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}

func TestDrainByTheOperator(t *testing.T) {
	b := newBehindTwo(t, "    probe: { path: /-/ping, every: 1h }\n")
	if code, text := b.operator("POST", "/masters/npm/0/drain"); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	for range 10 {
		b.want(b.send("GET", "/edge-sample-words"), 200)
	}
	if n := b.masters[0].Count(faults.Any); n != 0 {
		t.Errorf("the drained master was asked %d times", n)
	}
	if s := b.status(); !s.Masters[0].Drained || s.Masters[0].State != "drained" || s.Outage {
		t.Errorf("%+v", s)
	}
	a := b.send("PUT", "/-/user/org.couchdb.user:me")
	b.want(a, 503, "Retry-After: *")
	if !strings.Contains(a.body, "drained for maintenance") {
		t.Errorf("a write says %s", a.body)
	}
	if code, text := b.operator("POST", "/masters/npm/0/undrain"); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if s := b.status(); s.Masters[0].State != "healthy" {
		t.Errorf("%+v", s)
	}
	for path, want := range map[string]string{"/masters/x/0/drain": "unknown site", "/masters/npm/7/drain": "unknown master"} {
		if code, text := b.operator("POST", path); code != 404 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// In the first moment of an outage, when nobody knows yet.
func TestHangingMastersDoNotHoldUpStaleAnswers(t *testing.T) {
	t.Parallel()
	b := newBehindTwo(t, "    probe: { path: /-/ping, every: 1h }\n    timeouts: { first_byte: 1h }\n")
	b.want(b.send("GET", "/edge-sample-words"), 200)
	for _, m := range b.masters {
		m.Break(faults.Any, faults.Hang())
	}
	for range 3 { // the first one waits, the others are past that
		a := b.send("GET", "/edge-sample-words")
		b.want(a, 200, "Cache-Status: *")
		if told := a.Header.Get("Cache-Status"); !strings.Contains(told, "detail=stale-error") {
			t.Errorf("Cache-Status %q", told)
		}
	}
}

// Whether a file is fresh or stale, and whether or not its packument is there.
func TestStoredTarballNeverWaitsForMetadata(t *testing.T) {
	const file = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	b := newBehindTwo(t, "    probe: { path: /-/ping, every: 1h }\n    timeouts: { first_byte: 1h }\n")
	b.want(b.read(file), 200)
	for _, m := range b.masters {
		m.Break(func(r faults.Record) bool { return !strings.HasSuffix(r.Path, ".tgz") }, faults.Hang())
	}
	for _, soft := range []string{"", file} {
		for _, gone := range []string{"/edge-sample-words", soft} {
			if gone == "" {
				continue
			}
			purge := admin.Purge{URL: "http://127.0.0.1:8080" + gone, Soft: gone == soft}
			if _, err := (purger{b.edge.Daemon}).Purge(t.Context(), purge); err != nil {
				t.Fatal(err)
			}
		}
		want := "hit"
		if soft != "" {
			want = "fwd=stale; fwd-status=304"
		}
		a := b.send("GET", file)
		b.want(a, 200)
		if told := a.Header.Get("Cache-Status"); !strings.Contains(told, want) {
			t.Errorf("Cache-Status %q; want %s", told, want)
		}
	}
}
