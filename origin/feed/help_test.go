package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// database is a small CouchDB, in memory. Its fields are set before it is used, or
// by set.
type database struct {
	opaque bool // sequences are texts, as in CouchDB 2
	echo   bool // a sequence that is not reached is answered with itself
	silent bool // the database's document has no update_seq

	// before may answer a request in the place of the database.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	rows  []string      // as JSON, without seq
	asked []string      // the query of each request
	news  chan struct{} // closed and replaced
}

// answer has requests answered in the place of the database, or no more.
func (d *database) answer(before func(w http.ResponseWriter, r *http.Request) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

// tell has the database tell its sequence, or not.
func (d *database) tell(silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = silent
}

func newDatabase(names ...string) *database {
	d := &database{news: make(chan struct{})}
	d.publish(names...)
	return d
}

func (d *database) publish(names ...string) {
	for _, name := range names {
		d.write(fmt.Sprintf(`"id":%q,"changes":[{"rev":"1-a"}]`, name))
	}
}

// write adds a row, without braces and sequence.
func (d *database) write(row string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows = append(d.rows, row)
	close(d.news)
	d.news = make(chan struct{})
}

// replace has another database in its place.
func (d *database) replace(names ...string) {
	d.mu.Lock()
	d.rows = nil
	d.mu.Unlock()
	d.publish(names...)
}

func (d *database) seq(n int) string {
	if d.opaque {
		return fmt.Sprintf(`"%d-g1AAAA%d"`, n, n)
	}
	return strconv.Itoa(n)
}

// after returns the rows after since, and the last sequence.
func (d *database) after(since, limit int) (rows []string, last, pending int, news chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	end := len(d.rows)
	for n := since; n < end && len(rows) < limit; n++ {
		rows = append(rows, fmt.Sprintf(`{"seq":%s,%s}`, d.seq(n+1), d.rows[n]))
	}
	last = min(end, since+limit)
	if d.echo {
		last = max(last, since)
	}
	return rows, last, max(0, end-last), d.news
}

// queries returns those whose query has all words, and forgets none.
func (d *database) queries(words ...string) (found []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.asked {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(q, w) }) {
			found = append(found, q)
		}
	}
	return found
}

func (d *database) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked = append(d.asked, r.URL.Path+"?"+r.URL.RawQuery)
	before, silent := d.before, d.silent
	d.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/db":
		_, last, _, _ := d.after(0, 1<<30)
		if silent {
			io.WriteString(w, `{"db_name":"db"}`)
			return
		}
		fmt.Fprintf(w, `{"db_name":"db","update_seq":%s}`, d.seq(last))
	case "/db/_changes":
		d.changes(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"not_found","reason":"missing"}`)
	}
}

func (d *database) changes(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	digits, _, _ := strings.Cut(q.Get("since"), "-")
	since, _ := strconv.Atoi(digits)
	if q.Get("since") == "now" {
		_, since, _, _ = d.after(0, 1<<30)
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		limit = 1 << 30
	}
	rows, last, pending, news := d.after(since, limit)
	switch q.Get("feed") {
	case "continuous":
		beat, _ := strconv.Atoi(q.Get("heartbeat"))
		d.stream(w, r, since, time.Duration(beat)*time.Millisecond)
		return
	case "longpoll":
		wait, _ := strconv.Atoi(q.Get("timeout"))
		t := time.NewTimer(time.Duration(wait) * time.Millisecond)
		defer t.Stop()
		for ended := false; len(rows) == 0 && !ended; rows, last, pending, news = d.after(since, limit) {
			select {
			case <-news:
			case <-t.C:
				ended = true
			case <-r.Context().Done():
				return
			}
		}
	}
	fmt.Fprintf(w, "{\"results\":[\n%s\n],\n\"last_seq\":%s,\"pending\":%d}\n", strings.Join(rows, ",\n"), d.seq(last), pending)
}

func (d *database) stream(w http.ResponseWriter, r *http.Request, since int, beat time.Duration) {
	flush := http.NewResponseController(w)
	flush.Flush()
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		rows, last, _, news := d.after(since, 1<<30)
		for _, row := range rows {
			io.WriteString(w, row+"\n")
		}
		since = last
		flush.Flush()
		select {
		case <-news:
		case <-t.C:
			io.WriteString(w, "\n")
		case <-r.Context().Done():
			return
		}
	}
}

// listener hands out the server's ends of pipes.
type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *listener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// over serves a handler without a network.
func over(t *testing.T, h http.Handler) http.RoundTripper {
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	tr := NewTransport(time.Second)
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-l.done:
			return nil, errors.New("refused")
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// told is a follower with the changes that it has handed over.
type told struct {
	*Follower
	t      *testing.T
	path   string
	stop   func()
	apply  func([]Change) error // before it is noted; may be nil
	mu     sync.Mutex
	names  []string
	resets []string
}

// follow runs a follower of d until the test ends or stop is called.
func follow(t *testing.T, mode Mode, d *database, path string) *told {
	t.Helper()
	to := prepare(t, mode, d, path)
	to.run()
	synctest.Wait()
	return to
}

func prepare(t *testing.T, mode Mode, d *database, path string) *told {
	t.Helper()
	to := &told{t: t, path: path}
	to.Follower = New(Config{
		URL: &url.URL{Scheme: "http", Host: "registry.example", Path: "/db/"}, Mode: mode, Transport: over(t, d), Path: path,
		Apply: func(_ context.Context, changes []Change) error {
			to.mu.Lock()
			defer to.mu.Unlock()
			if to.apply != nil {
				if err := to.apply(changes); err != nil {
					return err
				}
			}
			for _, c := range changes {
				name := c.Name
				if c.Deleted {
					name = "-" + name
				}
				to.names = append(to.names, name)
			}
			return nil
		},
		Reset: func(_ context.Context, why string) error {
			to.mu.Lock()
			defer to.mu.Unlock()
			to.resets = append(to.resets, why)
			return nil
		},
	})
	return to
}

func (to *told) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		to.Run(ctx)
	}()
	to.stop = func() { cancel(); <-ended }
	to.t.Cleanup(to.stop)
}

// want checks which changes were told since the last time, and whether the feed
// is live.
func (to *told) want(live bool, names ...string) {
	to.t.Helper()
	synctest.Wait()
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.Live() != live || to.Status().Live != live {
		to.t.Errorf("live is %v: %+v", to.Live(), to.Status())
	}
	if !slices.Equal(to.names, names) {
		to.t.Errorf("told %q; want %q", to.names, names)
	}
	to.names = nil
}

// wantResets checks how often all was put in doubt.
func (to *told) wantResets(n int) {
	to.t.Helper()
	to.mu.Lock()
	defer to.mu.Unlock()
	if len(to.resets) != n || to.Status().Resets != int64(n) {
		to.t.Errorf("resets %q, status %d; want %d", to.resets, to.Status().Resets, n)
	}
}

// file is the stored sequence.
func (to *told) file() string {
	to.t.Helper()
	raw, err := os.ReadFile(to.path)
	if err != nil {
		to.t.Fatal(err)
	}
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil || s.URL != "http://registry.example/db" {
		to.t.Fatalf("%v in %s", err, raw)
	}
	return string(s.Sequence)
}

func statePath(t *testing.T) string { return filepath.Join(t.TempDir(), "feed.json") }

// modes runs a test for each form of a feed, and for both sorts of sequences.
func modes(t *testing.T, test func(t *testing.T, mode Mode, opaque bool)) {
	for _, mode := range []Mode{Couch, Poll} {
		for _, opaque := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, opaque %v", mode, opaque), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, mode, opaque) })
			})
		}
	}
}
