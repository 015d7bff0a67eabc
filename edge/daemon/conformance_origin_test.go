package daemon

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// reply is one answer of the origin.
type reply struct {
	status  int
	fields  []string // "Name: value"; "!Date" leaves out the one that net/http would add
	body    string
	drop    bool     // close the connection without a byte
	short   int      // bytes of the body to leave out, and then close
	chunked bool     // do not say how long the body is
	interim []string // the Link of a 103 each
}

// sentinel begins the paths that settle the memory tier.
const sentinel = "/sentinel/"

// scripted is an origin that answers by its script.
type scripted struct {
	url string

	mu      sync.Mutex
	replies []reply
	asked   []*http.Request
	ready   chan struct{} // closed when the origin may answer
	done    chan struct{} // closed when the whole script has been asked for
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	o := &scripted{}
	o.url = newOrigin(t, o)
	return o
}

// expect sets the replies to come. The last one serves for all after it.
func (o *scripted) expect(replies []reply, ready chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replies, o.asked, o.ready, o.done = slices.Clone(replies), nil, ready, make(chan struct{})
}

func (o *scripted) taken() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func (o *scripted) answered() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

func (o *scripted) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.HasPrefix(q.URL.Path, sentinel) {
		w.Header().Set("Cache-Control", "max-age=1000")
		return
	}
	o.mu.Lock()
	o.asked = append(o.asked, q.Clone(context.WithoutCancel(q.Context())))
	n, ready := len(o.asked), o.ready
	if len(o.replies) == 0 {
		o.mu.Unlock()
		http.Error(w, "nobody should have asked", http.StatusInternalServerError)
		return
	}
	if n == len(o.replies) {
		close(o.done)
	}
	p := o.replies[min(n, len(o.replies))-1]
	o.mu.Unlock()
	select {
	case <-ready:
	case <-q.Context().Done():
	case <-time.After(time.Minute): // only a test that fails gets here
	}
	p.write(w, q)
}

func (p reply) write(w http.ResponseWriter, q *http.Request) {
	if p.drop {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	for _, link := range p.interim {
		h.Set("Link", link)
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
	}
	h["Content-Type"] = nil
	for _, line := range p.fields {
		if name, ok := strings.CutPrefix(line, "!"); ok {
			h[name] = nil
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	bodiless := p.status == http.StatusNotModified || p.status == http.StatusNoContent
	if !p.chunked && !bodiless {
		h.Set("Content-Length", strconv.Itoa(len(p.body)))
	}
	w.WriteHeader(p.status)
	if q.Method == http.MethodHead || bodiless {
		return
	}
	if p.chunked {
		http.NewResponseController(w).Flush()
	}
	io.WriteString(w, p.body[:len(p.body)-p.short])
	if p.short > 0 {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// newOrigin serves h until the test ends, and returns its URL.
func newOrigin(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = quietHTTP()
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// quietHTTP is for servers whose clients break off.
func quietHTTP() *log.Logger { return log.New(io.Discard, "", 0) }
