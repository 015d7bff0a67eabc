package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/gauges"
	"pkgedge/edge/report"
	"pkgedge/origin/kinds"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// reloadable is an edge with a configuration file.
type reloadable struct {
	*client
	file string
	head string // the beginning of the file, which no reload may change
}

// newReloadable serves an edge, after prepare has changed it.
func newReloadable(t *testing.T, text string, prepare ...func(*testEdge)) *reloadable {
	t.Helper()
	e := newTestEdge(t, text, true)
	r := &reloadable{file: filepath.Join(t.TempDir(), "config.yaml")}
	r.head = fmt.Sprintf("listen: %s\nadmin: { listen: '' }\nlog: { access: 'off' }\ncache: { memory: 1MiB, dir: %s }\n", e.cfg.Listen, e.cfg.Cache.Dir)
	e.source = config.Source{Path: r.file, Kinds: kinds.All(), Env: edgetest.NoEnv}
	for _, change := range prepare {
		change(e)
	}
	serveEdge(t, e)
	r.client = &client{t, e, &http.Transport{DisableCompression: true}}
	t.Cleanup(r.transport.CloseIdleConnections)
	r.write(text)
	return r
}

func (r *reloadable) write(text string) {
	r.t.Helper()
	edgetest.WriteFile(r.t, r.file, r.head+text)
}

// reload has the edge run text, and returns the keys that have changed.
func (r *reloadable) reload(text string) []string {
	r.t.Helper()
	r.write(text)
	done, err := r.edge.reload(r.t.Context())
	if err != nil {
		r.t.Fatal(err, mistakesOf(err))
	}
	return done.Changed
}

func mistakesOf(err error) []string {
	if refused := (*admin.Refused)(nil); errors.As(err, &refused) {
		return refused.Mistakes
	}
	return nil
}

// settled waits until no request is being answered, and no fetch is under way.
func (r *reloadable) settled() {
	r.t.Helper()
	edgetest.Until(r.t, "the end of all requests", func() bool { return r.edge.metrics.InFlight() == 0 })
	r.edge.settle(r.t)
}

// said is a master that answers with its name.
func said(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, name)
	})
}

func TestReloadIsInForceWhenItReturns(t *testing.T) {
	edgetest.NoLeaks(t)
	r := newReloadable(t, plainSite(newOrigin(t, said("old")), ""))
	if a := r.send("GET", "/files/x"); a.body != "old" {
		t.Fatalf("before: %q", a.body)
	}
	r.head = strings.Replace(r.head, "access: 'off'", "access: 'off', level: debug", 1)
	changed := r.reload(plainSite(newOrigin(t, said("new")), "deny: [], ") + "\nlimits: { rate: 1000 }\n")
	if want := []string{"site site: masters", "limits.rate", "limits.burst", "log.level"}; !slices.Equal(changed, want) {
		t.Errorf("changed %q; want %q", changed, want)
	}
	if a := r.send("GET", "/files/x"); a.body != "new" || r.edge.level.Level() != slog.LevelDebug {
		t.Errorf("after: %q, at level %v", a.body, r.edge.level.Level())
	}
	r.settled()
}

func TestReloadOfNothingChangesNothing(t *testing.T) {
	text := plainSite(newOrigin(t, said("x")), "")
	r := newReloadable(t, text)
	before := r.edge.serving()
	if changed := r.reload(text); len(changed) != 0 {
		t.Errorf("changed %q", changed)
	}
	after := r.edge.serving()
	if after == before || after.Sites[0] != before.Sites[0] {
		t.Error("a site that is the same was built anew")
	}
	r.settled()
	if a := r.send("GET", "/files/x"); a.body != "x" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// A request under way when its site goes away ends as it began.
func TestRequestsKeepTheConfigurationTheyBeganWith(t *testing.T) {
	edgetest.NoLeaks(t)
	arrived, open := make(chan struct{}), make(chan struct{})
	old := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-open
		io.WriteString(w, "old")
	}))
	r := newReloadable(t, plainSite(old, ""))
	answers := make(chan *answered)
	go func() { answers <- r.send("GET", "/files/x") }()
	edgetest.Receive(t, arrived, "a request at the master")
	r.reload(strings.ReplaceAll(plainSite(newOrigin(t, said("new")), ""), "/files/", "/other/"))
	if a := r.send("GET", "/other/y"); a.body != "new" {
		t.Errorf("a new request: %q", a.body)
	}
	if a := r.send("GET", "/files/y"); a.StatusCode != 404 {
		t.Errorf("a new request for what is gone: %d %q", a.StatusCode, a.body)
	}
	close(open)
	if a := edgetest.Receive(t, answers, "an answer"); a.StatusCode != 200 || a.body != "old" {
		t.Errorf("the old request: %d %q", a.StatusCode, a.body)
	}
	r.settled()
}

// statusOf is a status before it is JSON.
func statusOf(s any) (report.Status, bool) {
	doc, ok := s.(*report.Status)
	if !ok {
		return report.Status{}, false
	}
	return *doc, true
}

// A fetch in the background may begin after its request has ended.
func TestFetchesKeepTheConfigurationTheyBeganWith(t *testing.T) {
	edgetest.NoLeaks(t)
	arrived, open := make(chan struct{}), make(chan struct{})
	var asked atomic.Int32
	old := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=1000")
		if asked.Add(1) == 1 {
			w.Header().Set("Age", "10")
			io.WriteString(w, "first")
			return
		}
		w.Header().Set("Cache-Control", "max-age=1000")
		close(arrived)
		<-open
		io.WriteString(w, "second")
	}))
	r := newReloadable(t, plainSite(old, "stale: { while_revalidate: 1h, override: true }, "))
	r.send("GET", "/files/x")
	r.edge.settle(t)          // it is not stored before
	r.send("GET", "/files/x") // stale, and asked for in the background
	edgetest.Receive(t, arrived, "a request at the master")
	r.reload(plainSite("http://127.0.0.1:1", ""))
	if n := r.edge.cache.Usage().Flights; n != 1 {
		t.Errorf("%d fetches are under way; want the one of the old configuration", n)
	}
	close(open)
	r.settled()
	if a := r.send("GET", "/files/x"); a.body != "second" {
		t.Errorf("%d %q; want what the fetch brought", a.StatusCode, a.body)
	}
}

func TestNothingIsDroppedWhileItReloads(t *testing.T) {
	edgetest.NoLeaks(t)
	const clients, reloads = 6, 15
	texts := []string{plainSite(newOrigin(t, said("0")), ""), plainSite(newOrigin(t, said("1")), "")}
	r := newReloadable(t, texts[0])
	var stop atomic.Bool
	var wg sync.WaitGroup
	each := make(chan struct{}, clients*64)
	for range clients {
		wg.Go(func() {
			for !stop.Load() {
				a := r.send("GET", "/files/x")
				if a.StatusCode != 200 || a.body != "0" && a.body != "1" {
					t.Errorf("%d %q", a.StatusCode, a.body)
					return
				}
				select {
				case each <- struct{}{}:
				default:
				}
			}
		})
	}
	for i := range reloads {
		edgetest.Receive(t, each, "a request under way")
		r.reload(texts[(i+1)%2])
		if a := r.send("GET", "/files/x"); a.body != fmt.Sprint((i+1)%2) {
			t.Errorf("after reload %d: %q", i, a.body)
		}
	}
	stop.Store(true)
	wg.Wait()
	r.settled()
}

func TestAFailedReloadKeepsTheOld(t *testing.T) {
	r := newReloadable(t, plainSite(newOrigin(t, said("old")), ""))
	before := r.edge.serving()
	site := plainSite("http://127.0.0.1:1", "")
	moved := func(from, to string) string { return strings.Replace(r.head, from, to, 1) + site }
	for _, tt := range []struct {
		name, text string
		mistakes   []string // the beginnings, after the file's name
	}{
		{"not YAML", "listen: [", []string{":"}},
		{"every mistake", r.head + "limits: { rate: x }\nfoo: 1\n", []string{":5: limits.rate: ", ":6: foo: unknown key"}},
		{"another address", moved("listen: 127.0.0.1:", "listen: 127.0.0.2:"), []string{":1: listen: cannot change while the edge runs: restart to change listen"}},
		{"an admin listener", moved("admin: { listen: '' }", "admin: { listen: '127.0.0.1:1', token: s }"), []string{":2: admin.listen: ", ":2: admin.token: "}},
		{"other sizes", moved("memory: 1MiB", "memory: 2MiB, disk: 1GiB, max_object: 1MiB"), []string{":4: cache.memory: ", ":4: cache.disk: ", ":4: cache.max_object: "}},
		{"another directory", moved("cache: { memory: 1MiB, dir: ", "cache: { memory: 1MiB, dir: /x"), []string{":4: cache.dir: restart"}},
		{"a key left out", moved("memory: 1MiB, ", ""), []string{": cache.memory: "}},
		{"TLS", moved("log:", "tls: { listen: ':1', domains: [a.example], email: a@a.example, ca: 'https://ca.example' }\nlog:"),
			[]string{":3: tls.listen: ", ":3: tls.domains: ", ":3: tls.email: ", ":3: tls.ca: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			edgetest.WriteFile(t, r.file, tt.text)
			_, err := r.edge.reload(t.Context())
			got := mistakesOf(err)
			if len(got) != len(tt.mistakes) {
				t.Fatalf("%v: %q; want %q", err, got, tt.mistakes)
			}
			for i, want := range tt.mistakes {
				want = r.file + strings.Replace(want, "dir: restart", "dir: cannot change", 1)
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("%q; want %q", got[i], want)
				}
			}
			if r.edge.serving() != before {
				t.Error("something else runs")
			}
			if s, _ := statusOf(r.edge.status()); s.Config.Refused.IsZero() || !slices.Equal(s.Config.Mistakes, got) {
				t.Errorf("the status says %+v", s.Config)
			}
		})
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if _, err := r.edge.reload(t.Context()); len(mistakesOf(err)) != 1 || !strings.Contains(mistakesOf(err)[0], "no such file") {
		t.Errorf("without the file: %v", err)
	}
	if a := r.send("GET", "/files/x"); a.body != "old" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	r.reload(plainSite(newOrigin(t, said("new")), ""))
	if s, _ := statusOf(r.edge.status()); !s.Config.Refused.IsZero() || s.Config.Mistakes != nil || s.Config.File != r.file {
		t.Errorf("after a good one the status says %+v", s.Config)
	}
}

func TestMastersStayAsTheyWere(t *testing.T) {
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	var masters []*sample.Server
	for range 3 {
		m, err := faults.NewMaster(store).Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		masters = append(masters, m)
	}
	text := fmt.Sprintf(`sites: [{ name: npm, probe: { path: /-/ping, every: 1h }, masters: [{ url: %q, role: primary }, { url: %q, role: replica }, { url: %q, role: replica }]`,
		masters[0].URL(), masters[1].URL(), masters[2].URL())
	r := newReloadable(t, text+" }]")
	if _, err := (drainer{r.edge.Daemon}).Drain(t.Context(), "npm", "0", true); err != nil {
		t.Fatal(err)
	}
	masters[1].Refuse()
	state := func() [3]string {
		s, _ := statusOf(r.edge.status())
		return [3]string{s.Sites[0].Masters[0].State, s.Sites[0].Masters[1].State, s.Sites[0].Masters[2].State}
	}
	want := [3]string{"drained", "out", "healthy"}
	for i := 0; state() != want; i++ {
		if i == 100 {
			t.Fatalf("before: %q", state())
		}
		r.send("GET", fmt.Sprintf("/none-%d", i))
	}
	identity := r.edge.serving().Identity
	for name, next := range map[string]string{
		"the same site":  text + " }]\nlimits: { rate: 100 }",
		"a site anew":    text + ", minimum_age: 1s }]",
		"and once again": text + ", deny: [x] }]",
	} {
		r.reload(next)
		if state() != want {
			t.Errorf("%s: %q; want %q", name, state(), want)
		}
		if c := r.edge.serving(); c.Identity != identity {
			t.Errorf("%s: identity %s; want %s", name, c.Identity, identity)
		}
	}
	if _, err := (drainer{r.edge.Daemon}).Drain(t.Context(), "npm", "0", false); err != nil {
		t.Fatal(err)
	}
	if got := state(); got[0] != "healthy" {
		t.Errorf("undrained: %q", got)
	}
	r.settled()
}

// Drain reaches the requests of earlier configurations too.
func TestDrainReachesEarlierConfigurations(t *testing.T) {
	arrived, open := make(chan struct{}), make(chan struct{})
	master := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-open
	}))
	r := newReloadable(t, plainSite(master, ""))
	answers := make(chan *answered)
	go func() { answers <- r.send("GET", "/files/x") }()
	edgetest.Receive(t, arrived, "a request at the master")
	before := r.edge.serving().Sites[0]
	r.reload(plainSite(master, "timeouts: { idle: 30s }, "))
	done, err := drainer{r.edge.Daemon}.Drain(t.Context(), "site", "0", true)
	if err != nil || !poolsOf(before)[0].Masters[0].Drained {
		t.Errorf("%v, before: %+v", err, poolsOf(before)[0].Masters[0])
	}
	if len(done.Masters) != 1 || done.Masters[0].InFlight != 1 || len(done.Warnings) == 0 {
		t.Errorf("%+v; want the request that an earlier configuration has there", done)
	}
	if s, _ := statusOf(r.edge.status()); s.Sites[0].Masters[0].InFlight != 1 {
		t.Errorf("the status has %d under way; want 1", s.Sites[0].Masters[0].InFlight)
	}
	close(open)
	edgetest.Receive(t, answers, "an answer")
}

func TestBudgetsStayUnlessTheyChange(t *testing.T) {
	site := plainSite(newOrigin(t, said("x")), "")
	const limits = "\nlimits: { rate: 0.001, burst: 20 }"
	r := newReloadable(t, site+limits)
	for r.send("GET", "/files/x").StatusCode == 200 {
	}
	r.head = strings.Replace(r.head, "access: 'off'", "access: 'off', level: warn", 1)
	r.reload(site + limits)
	if a := r.send("GET", "/files/x"); a.StatusCode != 429 {
		t.Errorf("with the same limits: %d", a.StatusCode)
	}
	r.reload(site + "\nlimits: { rate: 0.001, burst: 21 }")
	if a := r.send("GET", "/files/x"); a.StatusCode != 200 {
		t.Errorf("with other limits: %d", a.StatusCode)
	}
}

func TestSamplesAreNotRestarted(t *testing.T) {
	r := newReloadable(t, "")
	before := r.edge.samples
	if a := r.send("GET", "/edge-sample-words"); a.StatusCode != 200 || len(before) != 2 {
		t.Fatalf("%d with %d samples", a.StatusCode, len(before))
	}
	r.reload("sites: [{ name: npm, deny: [edge-sample-words] }, { name: more, path: /more/ }]")
	if !slices.Equal(r.edge.samples, before) {
		t.Error("other samples run")
	}
	for path, want := range map[string]int{"/edge-sample-words": 451, "/edge-sample-app": 200, "/more/edge-sample-words": 200} {
		if a := r.send("GET", path); a.StatusCode != want {
			t.Errorf("%s: %d; want %d", path, a.StatusCode, want)
		}
	}
}

// However many configurations have requests under way, one more reload is possible,
// and each of those requests ends as it began.
func TestRequestsOfManyConfigurations(t *testing.T) {
	const reloads = 20
	arrived, open := make(chan struct{}, reloads), make(chan struct{})
	release := sync.OnceFunc(func() { close(open) })
	defer release()
	// A body under way, for a master that does not answer gets few requests.
	master := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).Flush()
		arrived <- struct{}{}
		<-open
		io.WriteString(w, "whole")
	}))
	text := func(i int) string { return plainSite(master, fmt.Sprintf("timeouts: { idle: %ds }, ", 20+i)) }
	r := newReloadable(t, text(0))
	answers := make(chan *answered, reloads)
	for i := range reloads {
		go func() { answers <- r.send("GET", fmt.Sprintf("/files/%d", i)) }()
		select {
		case <-arrived:
		case a := <-answers:
			t.Fatalf("request %d is answered %d without the master", i, a.StatusCode)
		}
		r.reload(text(i + 1))
	}
	if s, _ := statusOf(r.edge.status()); s.Sites[0].Masters[0].InFlight != reloads {
		t.Errorf("%d requests under way at the master; want those of all configurations, %d", s.Sites[0].Masters[0].InFlight, reloads)
	}
	release()
	for range reloads {
		if a := edgetest.Receive(t, answers, "an answer"); a.StatusCode != 200 || a.body != "whole" {
			t.Errorf("%d %q", a.StatusCode, a.body)
		}
	}
	r.settled()
}

func TestNoReloadWhileItDrains(t *testing.T) {
	r := newReloadable(t, plainSite(newOrigin(t, said("x")), ""))
	r.edge.unready.Store(&errDraining)
	if _, err := r.edge.reload(t.Context()); !errors.Is(err, admin.ErrNotNow) || !errors.Is(err, errDraining) {
		t.Errorf("%v", err)
	}
}

func TestReloadsTakeTurns(t *testing.T) {
	r := newReloadable(t, plainSite(newOrigin(t, said("x")), ""))
	end, err := r.edge.lockReload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := r.edge.reload(gone); !errors.Is(err, admin.ErrNotNow) {
		t.Errorf("%v; want ErrNotNow", err)
	}
	end()
	if _, err := r.edge.reload(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARenewedCertificateIsPickedUp(t *testing.T) {
	edgetest.NoLeaks(t)
	dir := t.TempDir()
	cert, key := edgetest.MakePair(t, dir, "pair")
	site := plainSite(newOrigin(t, said("x")), "") + fmt.Sprintf("\ntls: { listen: '127.0.0.1:0', certificate: { cert: %s, key: %s } }\n", cert, key)
	r := newReloadable(t, site, func(e *testEdge) {
		cfg := *e.cfg
		cfg.Listen = "" // newTestEdge has opened it
		gauges.Certificates(e.metrics, e.certificates)
		e.cfg = &cfg
		if err := e.listen(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if changed := r.reload(site); len(changed) != 0 {
		t.Errorf("changed %q", changed)
	}
	before, _ := r.edge.certs.TLSConfig().GetCertificate(nil)
	renewed, renewedKey := edgetest.MakePair(t, t.TempDir(), "pair")
	for from, to := range map[string]string{renewed: cert, renewedKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if changed := r.reload(site); !slices.Equal(changed, []string{"the certificate"}) {
		t.Errorf("changed %q; want the certificate", changed)
	}
	after, _ := r.edge.certs.TLSConfig().GetCertificate(nil)
	if after == before {
		t.Error("the old certificate is shown")
	}
	expired, expiredKey := edgetest.MakePairOf(t, t.TempDir(), "pair", func(c *x509.Certificate) { c.NotAfter = time.Unix(1, 0) })
	old := strings.NewReplacer(cert, expired, key, expiredKey)
	r.write(old.Replace(site))
	if _, err := r.edge.reload(t.Context()); len(mistakesOf(err)) != 1 || !strings.Contains(mistakesOf(err)[0], `:6: tls.certificate: certificate "`+expired+`" expired on 1970-01-01`) {
		t.Errorf("with an expired pair: %v %q", err, mistakesOf(err))
	}
	if st, _ := statusOf(r.edge.status()); len(st.Certificates) != 1 || st.Certificates[0].Name != "127.0.0.1" || st.Certificates[0].NotAfter.Unix() != 1<<33 {
		t.Errorf("the status has %+v", st.Certificates)
	}
	w := httptest.NewRecorder()
	r.edge.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`edge_certificate_expiry_timestamp_seconds{name="127.0.0.1"} 8.589934592e+09`, `edge_certificate_failures_total{name="127.0.0.1"} 0`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics does not say %s", want)
		}
	}
	edgetest.WriteFile(t, key, "no key")
	r.write(strings.Replace(site, "kind: files,", "kind: files, probe: { path: /x, every: 1h },", 1)) // probes that must end
	if _, err := r.edge.reload(t.Context()); len(mistakesOf(err)) != 1 || !strings.Contains(mistakesOf(err)[0], ":6: tls.certificate: cannot load") {
		t.Errorf("with half a pair: %v %q", err, mistakesOf(err))
	}
	if again, _ := r.edge.certs.TLSConfig().GetCertificate(nil); again != after {
		t.Error("a failed reload changes the certificate")
	}
}
