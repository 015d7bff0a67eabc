package daemon

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet"
	"pkgedge/edge/fleet/natstest"
	"pkgedge/edge/site"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// band is some edges of a fleet before one master, and the servers of their log.
type band struct {
	t       *testing.T
	servers *natstest.Cluster
	gate    *natstest.Gate // before them
	master  *faults.Master
	store   *sample.Store
	url     string
	keys    string // of the site
	client  *http.Client
	edges   []*testEdge
	stops   []func()
}

// newBand starts n edges. With feed they follow that of a second master.
func newBand(t *testing.T, n int, feed bool) *band {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	b := &band{t: t, store: store, servers: natstest.Start(t, 1), master: faults.NewMaster(store), client: edgetest.NewClient(t, nil)}
	b.gate = natstest.NewGate(t, b.servers.URLs()[0])
	s, err := b.master.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b.url = s.URL()
	if feed {
		of, err := faults.NewMaster(store, faults.Under("/db")).Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(of.Close)
		b.keys = fmt.Sprintf(", changes: { url: %q }", of.URL())
	}
	b.init()
	for i := range n {
		b.edges, b.stops = append(b.edges, nil), append(b.stops, nil)
		b.start(i, fastDir(t))
	}
	b.know(n)
	return b
}

// init makes the log, as edge fleet init does.
func (b *band) init() {
	b.t.Helper()
	made, err := fleet.Init(b.t.Context(), &config.Fleet{Name: "init", NATS: b.servers.URLs()}, 1)
	if err != nil || !made.NewLog {
		b.t.Fatalf("%+v, %v", made, err)
	}
}

// start starts an edge with a cache directory, and waits until it reads the log.
func (b *band) start(i int, dir string) {
	b.t.Helper()
	b.startNow(i, dir)
	edgetest.Until(b.t, "a live log", b.edges[i].fleet.Live)
}

// startNow starts an edge with a cache directory.
func (b *band) startNow(i int, dir string) {
	b.t.Helper()
	cfg := configured(b.t, fmt.Sprintf(`
admin: { listen: '' }
log: { access: 'off' }
sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }], fresh: { metadata: 1h, override: true }%s }]
fleet: { name: edge-%d, nats: [%q] }
`, b.url, b.keys, i, b.gate.URL()))
	cfg.Cache.Memory, cfg.Cache.Dir = 1<<20, dir
	e := newTestDaemon(b.t, cfg, edgetest.QuietLog())
	cfg.PublicURL = &url.URL{Scheme: "http", Host: cfg.Listen}
	e.openTestCache(b.t)
	b.edges[i], b.stops[i] = e, e.serve()
	b.t.Cleanup(b.stops[i])
}

// know waits until the first edge knows n of them.
func (b *band) know(n int) {
	b.t.Helper()
	edgetest.Until(b.t, "the other edges", func() bool { return len(b.edges[0].fleet.Edges()) == n })
}

// purge is an operator's purge at the first edge.
func (b *band) purge(what admin.Purge) admin.Purged {
	b.t.Helper()
	what.Wait = 10 * time.Second
	done, err := (purger{b.edges[0].Daemon}).Purge(b.t.Context(), what)
	if err != nil || done.Fleet == nil {
		b.t.Fatalf("%+v, %v", done, err)
	}
	return done
}

// status is the word of Cache-Status that an edge answers with.
func (b *band) status(i int, path string) string {
	b.t.Helper()
	resp, _, err := edgetest.GetText(b.t, b.client, b.edges[i].cfg.PublicURL.String()+path)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %v, %v", path, resp, err)
	}
	return resp.Header.Get("Cache-Status")
}

const words = "/edge-sample-words"

func (b *band) fill() {
	b.t.Helper()
	for i := range b.edges {
		b.status(i, words)
		b.edges[i].settle(b.t)
		if s := b.status(i, words); !strings.Contains(s, "hit") {
			b.t.Fatalf("edge %d: %s", i, s)
		}
	}
}

func TestAPurgeIsInForceAtAllEdges(t *testing.T) {
	t.Parallel()
	b := newBand(t, 3, false)
	for _, what := range []admin.Purge{{Package: "edge-sample-words"}, {All: true}, {Site: "npm"}, {URL: words}, {Package: "edge-*", Soft: true}} {
		b.fill()
		done := b.purge(what)
		if s := done.Fleet; !s.Durable || s.Seq == 0 || s.Applied != 3 || s.Members != 3 || len(s.Missing) != 0 {
			t.Errorf("%+v: %+v", what, s)
		}
		for i := range b.edges {
			if s := b.status(i, words); strings.Contains(s, "hit") {
				t.Errorf("%+v at edge %d: %s", what, i, s)
			}
		}
	}
	if s := b.edges[1].report().Fleet; s == nil || !s.Log.Live || s.Log.Applied != 5 || len(s.Edges) != 3 {
		t.Errorf("%+v", s)
	}
	if text := b.edges[0].report().Text(); !strings.Contains(text, "purges   live at ") || !strings.Contains(text, "edges    3: edge-0, edge-1, edge-2") {
		t.Error(text)
	}
}

// An edge that is off is named as missing, and has the purge in force before it is live.
func TestAnEdgeThatIsOffMissesNoPurge(t *testing.T) {
	t.Parallel()
	b := newBand(t, 2, false)
	b.fill()
	dir := b.edges[1].cfg.Cache.Dir
	b.stops[1]()
	b.know(1)
	if s := b.purge(admin.Purge{Package: "edge-sample-words"}).Fleet; !s.Durable || s.Applied != 1 || s.Members != 1 {
		t.Errorf("%+v", s)
	}
	b.start(1, dir)
	if s := b.status(1, words); strings.Contains(s, "hit") {
		t.Error(s)
	}
}

// Without the engine a purge is in force at the edge that was asked, and elsewhere later.
func TestAPurgeWithoutTheEngine(t *testing.T) {
	t.Parallel()
	b := newBand(t, 2, false)
	b.fill()
	b.servers.Kill(0)
	done := b.purge(admin.Purge{Package: "edge-sample-words"})
	if s := done.Fleet; s.Durable || s.Applied != 1 || !slices.Equal(s.Missing, []string{"edge-1"}) {
		t.Errorf("%+v", s)
	}
	if a, c := b.status(0, words), b.status(1, words); strings.Contains(a, "hit") || !strings.Contains(c, "hit") {
		t.Errorf("%s, %s", a, c)
	}
	b.servers.Restart(0)
	edgetest.Until(t, "the purge at the other edge", func() bool { return b.edges[1].fleet.Status().Applied == 1 })
	if s := b.status(1, words); strings.Contains(s, "hit") {
		t.Error(s)
	}
}

// A publish through one edge is seen at once through another.
func TestAPublishIsSeenThroughAllEdges(t *testing.T) {
	b := newBand(t, 2, false)
	b.fill()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.edges[0].cfg.PublicURL.String()+words, strings.NewReader(`{"name":"edge-sample-words"}`))
	if err != nil {
		t.Fatal(err)
	}
	b.master.Break(func(r faults.Record) bool { return r.Method == http.MethodPut }, faults.Status(201))
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 201 {
		t.Fatal(resp.Status)
	}
	edgetest.Until(t, "the purge at the other edge", func() bool { return b.edges[1].fleet.Status().Applied > 0 })
	if s := b.status(1, words); strings.Contains(s, "hit") {
		t.Error(s)
	}
	own := b.edges[1].serving().Sites[0]
	if !own.Upstreams()[0].Written(own.Route(http.MethodGet, words, "", http.Header{})) {
		t.Error("the other edge does not ask the primary first")
	}
}

// A publish of which a hook tells one edge is seen at once through another.
func TestAHookIsHeardAtAllEdges(t *testing.T) {
	b := newBand(t, 2, false)
	b.fill()
	if err := b.edges[0].serving().Sites[0].ApplyPushed(site.Change{Package: "edge-sample-words"}); err != nil {
		t.Fatal(err)
	}
	edgetest.Until(t, "the purge at the other edge", func() bool { return b.edges[1].fleet.Status().Applied > 0 })
	own := b.edges[1].serving().Sites[0]
	if !own.Upstreams()[0].Written(own.Route(http.MethodGet, words, "", http.Header{})) {
		t.Error("the other edge does not ask the primary first")
	}
	if s := b.status(1, words); strings.Contains(s, "hit") {
		t.Error(s)
	}
	if s := b.edges[0].fleet.Status(); s.Applied != 0 || s.Published != 1 {
		t.Errorf("it came back: %+v", s)
	}
}

// One edge follows the feed for all, and another one when that ends. None misses a change.
func TestOneEdgeFollowsTheFeed(t *testing.T) {
	t.Parallel()
	b := newBand(t, 2, true)
	following := func() (is []int) {
		for i, e := range b.edges {
			if e.fleet.Follows("npm") {
				is = append(is, i)
			}
		}
		return is
	}
	live := func() bool { return b.edges[0].feed().Live() && b.edges[1].feed().Live() }
	edgetest.Until(t, "a live feed at both", live)
	all := following()
	if len(all) != 1 {
		t.Fatalf("%v follow it", all)
	}
	leader, other := all[0], 1-all[0]
	if s := b.edges[other].feed().State(); s.By != fmt.Sprintf("edge-%d", leader) || !s.Live {
		t.Errorf("%+v", s)
	}
	// The feed began at its end, and put all metadata in doubt, everywhere.
	edgetest.Until(t, "the doubt at the other edge", func() bool { return b.edges[other].fleet.Status().Applied > 0 })
	publish := func(number string) {
		t.Helper()
		if err := b.store.AddPackage("edge-sample-words", sample.Version{Number: number}); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(i int, number string) func() bool {
		return func() bool {
			_, body, err := edgetest.GetText(t, b.client, b.edges[i].cfg.PublicURL.String()+words)
			return err == nil && strings.Contains(body, number)
		}
	}
	b.fill()
	publish("3.0.0")
	edgetest.Until(t, "the version at the leader", shows(leader, "3.0.0"))
	edgetest.Until(t, "the version at the other edge", shows(other, "3.0.0"))
	b.stops[leader]()
	publish("4.0.0") // nobody hears it now
	edgetest.Until(t, "another leader", func() bool { return b.edges[other].fleet.Follows("npm") })
	edgetest.Until(t, "the version of the meantime", shows(other, "4.0.0"))
	if n := b.edges[other].feed().Status().Resets; n != 0 {
		t.Errorf("the feed began anew: %d", n)
	}
}

// Purges of an edge that drains are announced by the one that took its place. One that has left the
// log announces none, and has no trouble of that. Nothing comes back.
func TestAPredecessorsPurgesAreAnnounced(t *testing.T) {
	b := newBand(t, 2, false)
	b.fill()
	told := []byte(`[{"scope":2,"site":"npm","name":"edge-sample-words"}]`)
	if err := b.edges[0].purgeTold(told); err != nil {
		t.Fatal(err)
	}
	edgetest.Until(t, "the purge at the other edge", func() bool { return b.edges[1].fleet.Status().Applied == 1 })
	if s := b.status(1, words); strings.Contains(s, "hit") {
		t.Error(s)
	}
	b.edges[1].closeFleet()
	if err := b.edges[1].purgeTold(told); err != nil {
		t.Error(err)
	}
	b.purge(admin.Purge{All: true})
	if s := b.edges[0].fleet.Status(); s.Applied != 0 || s.Published != 2 {
		t.Errorf("%+v", s)
	}
}
