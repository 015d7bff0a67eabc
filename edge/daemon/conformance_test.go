package daemon

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// The conformance test is a table. A row is one rule of an RFC: requests of
// clients one after the other, the origin's replies where it is asked at all, and
// the responses that the clients must get. Every row runs through the real handler, over
// real connections, in four modes: with the memory tier alone, and with every
// answer from the disk by an edge that was closed and opened again in between;
// each request by itself, and as a crowd of equal ones at once.
//
// An edge costs more than a row. So some rows have one edge, in which each is a site of its
// own with an origin of its own: the first step of each, the second of each, and so on.
//
// No row waits for time to pass: a response that is to be stale comes with an
// Age, or dates of its own.

// row is one rule.
type row struct {
	rfc   string // number and section: "9111 3.5"
	rule  string
	site  string // keys of the site beside its name and masters, in YAML's flow form
	alone bool   // the rule is about one client, and has no crowd
	brief bool   // it is about a response that no disk keeps
	steps []step
}

// mode is one way to run a row.
type mode struct {
	name   string
	disk   bool // reopen the cache before each step, so that nothing is in memory
	copies int  // of each request
}

var modes = []mode{{"memory", false, 1}, {"disk", true, 1}, {"memory crowd", false, 4}, {"disk crowd", true, 4}}

// rowsOfAnEdge is few enough for the responses of a step to be fresh when the next one begins.
const rowsOfAnEdge = 32

// conform runs rows in every mode.
func conform(t *testing.T, rows []row) {
	t.Helper()
	begun := time.Now()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			mine := slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
				return r.alone && m.copies > 1 || r.brief && m.disk
			})
			for some := range slices.Chunk(mine, rowsOfAnEdge) {
				r := newRig(t, m, some)
				r.begun = begun
				r.run()
				for _, k := range r.rows {
					t.Run(k.rfc+" "+k.rule, k.verdict.tell)
				}
			}
		})
	}
}

// verdict is the complaints of a row, which its subtest tells when the row has ended.
type verdict struct {
	testing.TB
	said   []string
	failed bool
}

func (v *verdict) Helper() {}

func (v *verdict) Logf(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

func (v *verdict) Errorf(format string, args ...any) {
	v.Logf(format, args...)
	v.failed = true
}

func (v *verdict) tell(t *testing.T) {
	if v.failed {
		t.Error(strings.Join(v.said, "\n"))
	}
}

// running is a row under way.
type running struct {
	row
	host    string
	origin  *scripted
	verdict *verdict
	replies int // so far
}

// rig is an edge with a site for each of some rows, in front of their scripted origins.
type rig struct {
	t      *testing.T
	mode   mode
	rows   []*running
	begun  time.Time
	edge   *testEdge
	url    string
	client *http.Transport
	waits  int // names the sentinels of barrier

	mu      sync.Mutex
	entered int           // of the copies of the step under way
	all     chan struct{} // closed when every copy has reached the edge
}

func newRig(t *testing.T, m mode, rows []row) *rig {
	t.Helper()
	r := &rig{t: t, mode: m, begun: time.Now()}
	var sites strings.Builder
	for i, one := range rows {
		k := &running{row: one, host: fmt.Sprintf("row-%d.example", i), origin: newScripted(t), verdict: &verdict{TB: t}}
		r.rows = append(r.rows, k)
		keys := one.site
		if keys == "" {
			keys = "kind: files"
		}
		fmt.Fprintf(&sites, "  - { name: row-%d, hosts: [%s], %s, masters: [{ url: %q, role: primary }] }\n", i, k.host, keys, k.origin.url)
	}
	r.edge = newTestEdge(t, "sites:\n"+sites.String(), m.disk)
	r.url = r.edge.cfg.PublicURL.String()
	r.client = &http.Transport{DisableCompression: true}
	t.Cleanup(r.client.CloseIdleConnections)
	r.edge.listener.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.enter()
		r.edge.handler.ServeHTTP(w, q)
	})
	serveEdge(t, r.edge)
	return r
}

// enter counts a copy of the request under way.
func (r *rig) enter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entered++; r.entered == r.mode.copies {
		close(r.all)
	}
}

// run runs the steps of all rows that do not fail.
func (r *rig) run() {
	for i, more := 0, true; more; i++ {
		more = false
		for _, k := range r.rows {
			if i >= len(k.steps) || k.verdict.failed {
				continue
			}
			more = more || i+1 < len(k.steps)
			r.step(k, i)
		}
		r.barrier()
	}
}

// step sends the copies of a row's request and checks the responses.
func (r *rig) step(k *running, i int) {
	s := k.steps[i]
	s.replies = slices.Clone(s.replies) // rows share steps
	for j := range s.replies {
		if k.replies++; s.replies[j].body == "" {
			s.replies[j].body = fmt.Sprintf("reply %d\n", k.replies)
		}
	}
	before := r.held()
	r.mu.Lock()
	r.entered, r.all = 0, make(chan struct{})
	r.mu.Unlock()
	k.origin.expect(s.replies, r.all)
	got := make([]*answered, r.mode.copies)
	var clients sync.WaitGroup
	for n := range got {
		clients.Go(func() { got[n] = r.send(k, s) })
	}
	clients.Wait()
	r.background(k, s)
	r.settle()
	asked := k.origin.taken()
	v, slack := k.verdict, int(time.Since(r.begun)/time.Second)+2 // a Date is whole seconds
	v.Logf("step %d: %s %s %v: origin asked %d times", i+1, s.method, s.path, s.fields, len(asked))
	for _, a := range got {
		s.check(v, a, slack)
		checkHonest(v, a, len(asked))
	}
	if r.mode.copies == 1 {
		s.checkAlone(v, got[0], slack)
		s.checkForwardStatus(v, got[0])
	}
	most := len(s.replies) + s.again
	if s.apart {
		most *= r.mode.copies
	}
	if len(asked) < len(s.replies) || len(asked) > most {
		v.Errorf("origin was asked %d times; want %d to %d", len(asked), len(s.replies), most)
	}
	for _, q := range asked {
		checkFields(v, "the origin's request", q.Header, s.sees, slack)
	}
	if i > 0 || r.mode.copies > 1 || s.method != http.MethodGet || s.fails {
		return
	}
	if told, held := strings.Contains(got[0].status(), "; stored"), r.held()-before; told != (held > 0) {
		v.Errorf("Cache-Status has stored = %v, and %d responses are stored", told, held)
	}
}

// held is how many responses are stored.
func (r *rig) held() int64 {
	u := r.edge.cache.Usage()
	if r.mode.disk {
		return u.DiskObjects
	}
	return u.MemoryObjects + u.DiskObjects
}

// background waits for a revalidation that no client waits for.
func (r *rig) background(k *running, s step) {
	if !s.later {
		return
	}
	edgetest.Receive(r.t, k.origin.answered(), "a validation in the background")
}

// answered is a response and how its body ended.
type answered struct {
	*http.Response
	body    string
	err     error
	interim []string
}

func (a *answered) status() string {
	if a.Response == nil {
		return ""
	}
	return strings.Join(a.Header["Cache-Status"], ", ")
}

func (r *rig) send(k *running, s step) *answered {
	var body io.Reader
	if s.method == http.MethodPost || s.method == http.MethodPut {
		body = strings.NewReader("content")
	}
	a := &answered{}
	limited, cancel := context.WithTimeout(r.t.Context(), edgetest.Patience)
	defer cancel()
	ctx := httptrace.WithClientTrace(limited, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			a.interim = append(a.interim, strconv.Itoa(code)+" "+h.Get("Link"))
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, s.method, r.url+s.path, body)
	if err != nil {
		r.t.Error(err)
		return a
	}
	req.Host = k.host
	for _, line := range s.fields {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	if a.Response, a.err = r.client.RoundTrip(req); a.err != nil {
		return a
	}
	defer a.Body.Close()
	whole, err := io.ReadAll(a.Body)
	a.body, a.err = string(whole), err
	return a
}

// settle waits until the edge has ended all that the step began.
func (r *rig) settle() {
	r.edge.settle(r.t)
}

// barrier makes the next step see the store. The memory tier takes responses in
// order and later, so that a sentinel that has arrived stands for all before it. The
// disk tier is closed and opened.
func (r *rig) barrier() {
	if r.mode.disk {
		if err := r.edge.cache.Close(); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range r.edge.serving().Sites {
			s.Close()
		}
		r.edge.reopenCache(r.t)
		return
	}
	r.waits++
	path := sentinel + strconv.Itoa(r.waits)
	r.mu.Lock()
	r.entered, r.all = -1<<30, nil
	r.mu.Unlock()
	edgetest.Until(r.t, "a hit of the sentinel", func() bool {
		a := r.send(r.rows[0], get().at(path))
		if a.err != nil {
			r.t.Fatal(a.err)
		}
		return strings.HasPrefix(a.Header.Get("Cache-Status"), "edge; hit")
	})
}
