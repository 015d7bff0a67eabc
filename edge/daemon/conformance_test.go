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

	"pkgedge/edge/edgetest"
)

// The conformance test is a table. A row is one rule of an RFC: requests of
// clients one after the other, the origin's replies where it is asked at all, and
// the responses that the clients must get. Every row runs through the real handler, over
// real connections, in four modes: with the memory tier alone, and with every
// answer from the disk by an edge that was closed and opened again in between;
// each request by itself, and as a crowd of equal ones at once.
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

// conform runs rows in every mode.
func conform(t *testing.T, rows []row) {
	t.Helper()
	for _, m := range modes {
		for _, r := range rows {
			if r.alone && m.copies > 1 || r.brief && m.disk {
				continue
			}
			t.Run(m.name+"/"+r.rfc+" "+r.rule, func(t *testing.T) {
				t.Parallel()
				newRig(t, m, r.site).run(r.steps)
			})
		}
	}
}

// rig is an edge in front of a scripted origin.
type rig struct {
	t      *testing.T
	mode   mode
	edge   *testEdge
	origin *scripted
	url    string
	client *http.Transport
	waits  int // names the sentinels of settle

	mu      sync.Mutex
	entered int           // of the copies of the step under way
	all     chan struct{} // closed when every copy has reached the edge
}

func newRig(t *testing.T, m mode, site string) *rig {
	t.Helper()
	r := &rig{t: t, mode: m, origin: newScripted(t)}
	if site == "" {
		site = "kind: files"
	}
	r.edge = newTestEdge(t, fmt.Sprintf(`sites: [{ name: site, %s, masters: [{ url: "%s", role: primary }] }]`, site, r.origin.url), m.disk)
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

func (r *rig) run(steps []step) {
	ordinal := 0
	for i, s := range steps {
		s.replies = slices.Clone(s.replies) // rows share steps
		for j := range s.replies {
			if ordinal++; s.replies[j].body == "" {
				s.replies[j].body = fmt.Sprintf("reply %d\n", ordinal)
			}
		}
		told := r.step(i, s)
		if r.t.Failed() {
			return
		}
		r.settle()
		if i == 0 {
			r.storedTold(s, told)
		}
		r.barrier()
	}
}

// step sends the copies of one request and checks the responses. It
// returns whether the first response said that it was stored.
func (r *rig) step(i int, s step) (stored bool) {
	r.mu.Lock()
	r.entered, r.all = 0, make(chan struct{})
	r.mu.Unlock()
	r.origin.expect(s.replies, r.all)
	got := make([]*answered, r.mode.copies)
	var clients sync.WaitGroup
	for n := range got {
		clients.Go(func() { got[n] = r.send(s) })
	}
	clients.Wait()
	r.background(s)
	asked := r.origin.taken()
	r.t.Logf("step %d: %s %s %v: origin asked %d times", i+1, s.method, s.path, s.fields, len(asked))
	for _, a := range got {
		s.check(r.t, a)
		checkHonest(r.t, a, len(asked))
	}
	if r.mode.copies == 1 {
		s.checkAlone(r.t, got[0])
		s.checkForwardStatus(r.t, got[0])
	}
	most := len(s.replies) + s.again
	if s.apart {
		most *= r.mode.copies
	}
	if len(asked) < len(s.replies) || len(asked) > most {
		r.t.Errorf("origin was asked %d times; want %d to %d", len(asked), len(s.replies), most)
	}
	for _, q := range asked {
		checkFields(r.t, "the origin's request", q.Header, s.sees)
	}
	return strings.Contains(got[0].status(), "; stored")
}

// background waits for a revalidation that no client waits for.
func (r *rig) background(s step) {
	if !s.later {
		return
	}
	edgetest.Receive(r.t, r.origin.answered(), "a validation in the background")
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

func (r *rig) send(s step) *answered {
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
		a := r.send(get().at(path))
		if a.err != nil {
			r.t.Fatal(a.err)
		}
		return strings.HasPrefix(a.Header.Get("Cache-Status"), "edge; hit")
	})
}

// storedTold compares the contents of the store after the first step with the word
// of Cache-Status.
func (r *rig) storedTold(s step, told bool) {
	if r.mode.copies > 1 || s.method != http.MethodGet || s.fails {
		return
	}
	u := r.edge.cache.Usage()
	held := u.MemoryObjects + u.DiskObjects
	if r.mode.disk {
		held = u.DiskObjects
	}
	if told != (held > 0) {
		r.t.Errorf("Cache-Status has stored = %v, and %d responses are stored", told, held)
	}
}
