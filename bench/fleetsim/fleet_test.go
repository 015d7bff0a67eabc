package fleetsim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
	"pkgedge/edge/fleet/members"
	"pkgedge/edge/fleet/purgelog"
)

// plan describes a simulated fleet, and the world about it.
type plan struct {
	edges, pop int           // edges, and how many of them are in a pop
	packages   int           // each with a document and a file
	lifetime   time.Duration // of documents
	most       float64       // requests for the first package a second in each pop; the n-th has the n-th part
	publishes  float64       // a second, of all packages
	warm, run  time.Duration
	off        int // edges that are off for a while behind that
	offFor     time.Duration
}

// rate is how often a pop asks for a package, in a second.
func (p plan) rate(pkg int) float64 { return p.most / float64(pkg+1) }

// fleet is a fleet in virtual time.
type fleet struct {
	plan
	dir     string
	log     *stream
	edges   []*edge
	pops    []*popOf
	dice    *rand.Rand
	below   []float64 // sums of the rates of packages
	masters struct {
		documents, files int
		stored           map[int]bool // files that a shared store would have
		withStore        int          // downloads with such a store
		version          []int
		changed          []time.Time
	}
	answers, old, published int
}

// popOf is the edges of a place.
type popOf struct {
	edges  []*edge
	names  []string
	begins time.Time // of its requests: places do not start together
}

// edge is a virtual edge.
type edge struct {
	of   *fleet
	pop  *popOf
	name string
	log  *purgelog.Log
	stop func() // nil while it is off

	mu     sync.Mutex
	stale  time.Time         // everything from before is in doubt
	purged map[int]time.Time // by package
	docs   map[int]*document
	files  map[int]bool
}

type document struct {
	policy.Response
	version int
}

// newFleet starts all edges, and waits until the log is live at each.
func newFleet(t *testing.T, p plan) *fleet {
	f := &fleet{plan: p, dir: fastDir(t), log: newStream(), dice: rand.New(rand.NewPCG(1, 2))}
	f.masters.stored, f.masters.version, f.masters.changed = make(map[int]bool), make([]int, p.packages), make([]time.Time, p.packages)
	if _, made, err := purgelog.Init(t.Context(), client{of: f.log}, 3); err != nil || !made {
		t.Fatal(made, err)
	}
	sum := 0.0
	for pkg := range p.packages {
		sum += p.rate(pkg)
		f.below = append(f.below, sum)
	}
	for i := range p.edges {
		if i%p.pop == 0 {
			f.pops = append(f.pops, &popOf{begins: time.Now().Add(time.Duration(f.dice.Int64N(int64(p.lifetime))))})
		}
		in := f.pops[len(f.pops)-1]
		e := &edge{of: f, pop: in, name: fmt.Sprintf("pop%d-%d", len(f.pops), i%p.pop), purged: make(map[int]time.Time), docs: make(map[int]*document), files: make(map[int]bool)}
		if err := os.Mkdir(e.dir(), 0o700); err != nil {
			t.Fatal(err)
		}
		in.edges, in.names = append(in.edges, e), append(in.names, e.name)
		f.edges = append(f.edges, e)
		e.start(t)
	}
	for _, e := range f.edges {
		e.await(t)
	}
	return f
}

// fastDir is a directory without a disk behind it, where there is such a thing.
func fastDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "edge-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (e *edge) dir() string { return filepath.Join(e.of.dir, e.name) }

// start has an edge read the log.
func (e *edge) start(t *testing.T) {
	var err error
	e.log, err = purgelog.Open(purgelog.Config{
		Name: e.name, Dir: e.dir(), Log: slog.New(slog.DiscardHandler), Members: func() int { return e.of.plan.edges },
		Apply: func(all []purgelog.Entry) error { e.apply(all); return nil },
		Stale: func(bool) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.stale = time.Now()
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.log.Run(ctx, client{of: e.of.log}) })
	e.stop = func() {
		cancel()
		running.Wait()
		if err := e.log.Close(); err != nil {
			t.Error(err)
		}
		e.stop = nil
	}
}

// await waits until the log is live at an edge.
func (e *edge) await(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.log.AwaitLive(ctx); err != nil {
		t.Fatalf("%s: %v", e.name, e.log.Status().Why)
	}
}

// stop ends all edges.
func (f *fleet) stop() {
	for _, e := range f.edges {
		if e.stop != nil {
			e.stop()
		}
	}
}

func (e *edge) apply(all []purgelog.Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range all {
		if pkg, err := strconv.Atoi(p.Name[len("package-"):]); err == nil {
			e.purged[pkg] = time.Now()
		}
	}
}

func nameOf(pkg int) string { return fmt.Sprintf("package-%d", pkg) }

// publish makes a new version of a package, and tells an edge of it.
func (f *fleet) publish(pkg int, e *edge) error {
	f.published++
	f.masters.version[pkg]++
	f.masters.changed[pkg] = time.Now()
	p := purgelog.Entry{Purge: purge.Purge{Scope: purge.GroupMetadata, Site: "npm", Name: nameOf(pkg), Soft: true}}
	e.apply([]purgelog.Entry{p})
	return e.log.Announce(p)
}

// held is the stored document of an edge, its verdict, and the newest purge of it.
func (e *edge) held(pkg int) (d *document, fresh bool, purged time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	purged = e.purged[pkg]
	if e.stale.After(purged) {
		purged = e.stale
	}
	if d = e.docs[pkg]; d == nil {
		return nil, false, purged
	}
	mark := policy.NotMarked
	if !d.RequestTime.After(purged) {
		mark = policy.MarkedStale
	}
	rule := policy.Rule{OK: policy.Exactly(e.of.lifetime)}
	return d, policy.Decide(time.Now(), &d.Response, mark, rule, policy.Request{Method: http.MethodGet, Control: policy.NoDirectives()}) == policy.Fresh, purged
}

// keep stores a document that a master gave some time ago.
func (e *edge) keep(pkg, version int, ago time.Duration) *document {
	at := time.Now().Add(-ago)
	d := &document{policy.Received(http.StatusOK, http.Header{"Etag": {strconv.Quote(strconv.Itoa(version))}}, nil, at, at), version}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.docs[pkg] = d
	return d
}

// owner is the edge of a pop that fetches a thing, as edge/fleet/sibling names it.
func (p *popOf) owner(path string) *edge {
	name := members.Owner(p.names, "npm\x00"+path, func(name string) bool { return p.edges[slices.Index(p.names, name)].stop != nil })
	return p.edges[slices.Index(p.names, name)]
}

// document answers a request for a document.
func (e *edge) document(pkg int) *document {
	d, fresh, purged := e.held(pkg)
	if fresh {
		return d
	}
	if owner := e.pop.owner("/" + nameOf(pkg)); owner != e {
		is, fresh, _ := owner.held(pkg)
		if !fresh {
			is = owner.fetch(pkg)
		}
		if is.RequestTime.After(purged) { // else the owner has not heard of the purge yet
			return e.keep(pkg, is.version, time.Since(is.RequestTime))
		}
	}
	return e.fetch(pkg)
}

func (e *edge) fetch(pkg int) *document {
	e.of.masters.documents++
	return e.keep(pkg, e.of.masters.version[pkg], 0)
}

// file answers a request for a file, which has no end.
func (e *edge) file(pkg int) {
	if e.files[pkg] {
		return
	}
	e.files[pkg] = true
	if owner := e.pop.owner(fmt.Sprintf("/%[1]s/-/%[1]s-1.0.0.tgz", nameOf(pkg))); owner != e {
		owner.file(pkg)
		return
	}
	m := &e.of.masters
	m.files++
	if !m.stored[pkg] {
		m.stored[pkg] = true
		m.withStore++
	}
}

// traffic has clients ask, and packages published, for some time.
func (f *fleet) traffic(t *testing.T, d time.Duration) {
	asks := f.below[len(f.below)-1] * float64(len(f.pops))
	end := time.Now().Add(d)
	for {
		time.Sleep(time.Duration(f.dice.ExpFloat64() / (asks + f.publishes) * float64(time.Second)))
		if time.Now().After(end) {
			return
		}
		if f.dice.Float64()*(asks+f.publishes) < f.publishes {
			if err := f.publish(f.dice.IntN(f.packages), f.some(f.pops[f.dice.IntN(len(f.pops))])); err != nil {
				t.Fatal(err)
			}
			continue
		}
		in := f.pops[f.dice.IntN(len(f.pops))]
		pkg := sort.SearchFloat64s(f.below, f.dice.Float64()*f.below[len(f.below)-1])
		if time.Now().Before(in.begins) {
			continue
		}
		e := f.some(in)
		f.answers++
		if is := e.document(pkg); is.version < f.masters.version[pkg] && time.Since(f.masters.changed[pkg]) > 10*trip {
			f.old++
		}
		e.file(pkg)
	}
}

// some is an edge of a pop that is not off.
func (f *fleet) some(p *popOf) *edge {
	for {
		if e := p.edges[f.dice.IntN(len(p.edges))]; e.stop != nil {
			return e
		}
	}
}
