package daemon

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/framing"
)

// counted counts the requests that come to the handler of an edge with a lane.
type counted struct {
	*spoken
	handled   atomic.Int64
	sentinels int
}

func newCounted(t testing.TB, keys string) *counted {
	c := new(counted)
	c.spoken = startSpoken(t, keys, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.handled.Add(1)
			next.ServeHTTP(w, r)
		})
	})
	return c
}

// repeated holds a conversation of one request until the lane may know it, and once more. It
// returns the last answer, and whether the lane gave it.
func (c *counted) repeated(t testing.TB, request string) (said string, byLane bool) {
	t.Helper()
	c.converse(t, []string{request}) // a miss
	c.barrier(t)
	c.converse(t, []string{request}) // a hit
	return c.again(t, request)
}

// barrier returns when the memory tier has all responses that were stored. It takes them in order
// and later, so that a sentinel which the lane repeats stands for all before it. A hit of a
// response that is still in the queue comes from the disk, and the lane cannot repeat that.
func (c *counted) barrier(t testing.TB) {
	t.Helper()
	c.sentinels++
	sentinel := wireGet(fmt.Sprintf("/f/b?%d", c.sentinels))
	edgetest.Until(t, "a sentinel in memory", func() bool {
		_, byLane := c.again(t, sentinel)
		return byLane
	})
}

func (c *counted) again(t testing.TB, request string) (said string, byLane bool) {
	t.Helper()
	before := c.handled.Load()
	said = c.converse(t, []string{request}).said
	return said, c.handled.Load() == before
}

// served has the number of answers of each site and outcome.
func (c *counted) served(t testing.TB) map[string]int64 {
	t.Helper()
	edgetest.Until(t, "the end of all requests", func() bool { return c.edge.metrics.InFlight() == 0 })
	all := make(map[string]int64)
	c.edge.metrics.Served(func(site, outcome string, n int64) { all[site+" "+outcome] += n })
	return all
}

func TestLaneAnswers(t *testing.T) {
	c := newCounted(t, "")
	c.converse(t, []string{wireGet("/f/a"), wireGet("/f/a"), wireGet("/pkg", npmFields...), wireGet("/pkg", npmFields...)})
	packument, _ := c.repeated(t, wireGet("/pkg", npmFields...))
	_, after, _ := strings.Cut(packument, "Etag: ")
	etag, _, _ := strings.Cut(after, "\r\n")
	for name, tt := range map[string]struct{ request, status string }{
		"plain":                {wireGet("/f/a"), "200"},
		"without fields":       {wireGet("/f/bare"), "200"},
		"empty":                {wireGet("/f/empty"), "200"},
		"of 40 kB":             {wireGet("/f/large"), "200"},
		"npm":                  {wireGet("/pkg", npmFields...), "200"},
		"npm again":            {wireGet("/pkg", append(npmFields, "if-none-match: "+etag, "if-modified-since: Sun, 01 Mar 2026 12:00:00 GMT")...), "304"},
		"pnpm":                 {wireGet("/pkg", pnpmFields...), "200"},
		"pnpm again":           {wireGet("/pkg", append(pnpmFields, "if-none-match: "+etag)...), "304"},
		"yarn":                 {wireGet("/pkg", yarnFields...), "200"},
		"bun":                  {wireGet("/pkg", bunFields[:5]...), "200"},
		"bun again":            {wireGet("/pkg", append(bunFields[:5:5], "If-None-Match: "+etag, "If-Modified-Since: Sun, 01 Mar 2026 12:00:00 GMT")...), "304"},
		"a version":            {wireGet("/pkg/1.0.0", npmFields...), "200"},
		"a query":              {wireGet("/f/a?b"), "200"},
		"behind a proxy":       {wireGet("/f/a", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "Via: 1.1 proxy"), "200"},
		"traced":               {wireGet("/f/a", "traceparent: "+traceparent, "tracestate: a=b"), "200"},
		"files, if-none-match": {wireGet("/f/a", `If-None-Match: "ea"`), "304"},
	} {
		t.Run(name, func(t *testing.T) {
			said, byLane := c.repeated(t, tt.request)
			if !byLane || !strings.HasPrefix(said, "HTTP/1.1 "+tt.status+" ") || !strings.Contains(said, "detail=hit") {
				t.Errorf("by the lane: %t: %.300s", byLane, said)
			}
		})
	}
	for name, request := range map[string]string{
		"HEAD":                      wireHead("HEAD", "/f/a"),
		"HTTP/1.0":                  "GET /f/a HTTP/1.0\r\nHost: edge\r\n\r\n",
		"close":                     wireGet("/f/a", "Connection: close"),
		"a range":                   wireGet("/f/a", "Range: bytes=0-1"),
		"a precondition":            wireGet("/f/a", `If-Match: "ea"`),
		"another tag":               wireGet("/f/a", `If-None-Match: "x"`),
		"a list of tags":            wireGet("/f/a", `If-None-Match: "ea", "x"`),
		"a date":                    wireGet("/f/a", "If-Modified-Since: Sun, 01 Mar 2026 12:00:00 GMT"),
		"a credential":              wireGet("/f/a", "Authorization: Bearer x"),
		"a cookie":                  wireGet("/f/a", "Cookie: a=b"),
		"a client that steers":      wireGet("/f/a", "Cache-Control: max-age=10"),
		"an old one that does":      wireGet("/f/a", "Pragma: no-cache"),
		"a field of no known sense": wireGet("/f/a", "X-A: b"),
		"a field twice":             wireGet("/f/a", "Accept: */*", "Accept: */*"),
		"an empty field":            wireGet("/f/a", "Accept-Encoding:"),
		"another host's":            wireGet("http://edge/f/a"),
		"a body":                    wireGet("/f/a", "Content-Length: 1") + "x",
		"selected by a field":       wireGet("/f/vary", "User-Agent: x"),
		"stale":                     wireGet("/f/stale"),
		"missing":                   wireGet("/f/gone"),
		"many fields":               wireGet("/f/a", strings.Split(strings.Repeat("Npm-X: y\n", 40), "\n")[:40]...),
		"by way of this edge":       wireGet("/f/a", "Via: 1.1 "+c.edge.identity),
	} {
		t.Run(name, func(t *testing.T) {
			if said, byLane := c.repeated(t, request); byLane {
				t.Errorf("by the lane: %.300s", said)
			}
		})
	}
}

// The lane repeats an answer only as long as the slow path would give it.
func TestLaneStops(t *testing.T) {
	request := wireGet("/f/a")
	for name, end := range map[string]func(t *testing.T, c *counted){
		"purged":            func(t *testing.T, c *counted) { c.purge(t, purge.Purge{Scope: purge.Site, Site: "files"}) },
		"purged, softly":    func(t *testing.T, c *counted) { c.purge(t, purge.Purge{Scope: purge.All, Soft: true}) },
		"reloaded":          func(t *testing.T, c *counted) { c.reload(t) },
		"fetched once more": func(t *testing.T, c *counted) { c.converse(t, []string{wireGet("/f/a", "Cache-Control: no-cache")}) },
		"drained":           func(t *testing.T, c *counted) { c.edge.lane.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounted(t, "")
			if _, byLane := c.repeated(t, request); !byLane {
				t.Fatal("not by the lane")
			}
			end(t, c)
			if said, byLane := c.again(t, request); byLane {
				t.Errorf("by the lane: %s", said)
			}
		})
	}
	t.Run("another is purged", func(t *testing.T) {
		c := newCounted(t, "")
		c.repeated(t, request)
		c.purge(t, purge.Purge{Scope: purge.Key, Site: "files", Name: "other"})
		if _, byLane := c.again(t, request); !byLane {
			t.Error("a purge of another response ends it")
		}
	})
	t.Run("limited", func(t *testing.T) {
		c := newCounted(t, "")
		c.converse(t, []string{request})
		c.barrier(t)
		limited := *c.edge.cfg
		limited.Limits.Rate, limited.Limits.Burst = 0.000001, 2
		c.edge.cfg = &limited
		c.reload(t)
		c.converse(t, []string{request}) // a hit, which is offered
		if said, byLane := c.again(t, request); !byLane {
			t.Errorf("not by the lane, with a token left: %s", said)
		}
		if said, byLane := c.again(t, request); byLane || !strings.HasPrefix(said, "HTTP/1.1 429 ") {
			t.Errorf("by the lane: %t: %s", byLane, said)
		}
	})
}

func (c *counted) purge(t *testing.T, p purge.Purge) {
	t.Helper()
	if err := c.edge.cache.Purge(p); err != nil {
		t.Fatal(err)
	}
}

// reload puts a generation of the edge's configuration to work.
func (c *counted) reload(t *testing.T) {
	t.Helper()
	g, err := c.edge.build(c.edge.cfg, c.edge.serving())
	if err != nil {
		t.Fatal(err)
	}
	c.edge.use(g)
}

// naive is a lane without the rule: it answers the head that it reads whenever net/http says
// that the connection is new or idle.
type naive struct {
	net.Conn
	state *atomic.Int64
}

// naiveAnswer is the answer of the naive lane to its one request.
const naiveAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func (n naive) Read(p []byte) (int, error) {
	for {
		size, err := n.Conn.Read(p)
		if s := http.ConnState(n.state.Load()); s != http.StateNew && s != http.StateIdle || !strings.HasPrefix(string(p[:size]), wireGet("/f/a")) {
			return size, err
		}
		io.WriteString(n.Conn, naiveAnswer)
		rest := copy(p, p[len(wireGet("/f/a")):size])
		if rest > 0 {
			return rest, err
		}
	}
}

type naiveListener struct {
	net.Listener
	states *sync.Map // of naive connections
}

func (l naiveListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	n := naive{c, new(atomic.Int64)}
	l.states.Store(n, n.state)
	return n, nil
}

// The conversations tell a lane that only follows http.ConnState from net/http alone: it
// answers requests that are the rest of another one's head, or are behind half a one.
func TestConversationsFindANaiveLane(t *testing.T) {
	e := newSpoken(t, "fast_lane: false")
	serve := func(naively bool) *edgetest.Pipe {
		pipe, states := edgetest.NewPipe(), new(sync.Map)
		srv := &http.Server{Handler: &e.edge.handler, ErrorLog: log.New(io.Discard, "", 0)}
		var l net.Listener = pipe
		if naively {
			l = naiveListener{pipe, states}
			srv.ConnState = func(c net.Conn, s http.ConnState) {
				if state, ok := states.Load(c); ok {
					state.(*atomic.Int64).Store(int64(s))
				}
			}
		}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		t.Cleanup(func() {
			srv.Close()
			<-served
		})
		return pipe
	}
	bare, mutant := serve(false), serve(true)
	var found []string
	for name, parts := range conversations {
		if !slices.Contains(parts, wireGet("/f/a")) {
			continue
		}
		settle := func() { e.edge.settle(t) }
		bare.Converse(t, settle, parts...) // until all is stored
		want, got := bare.Converse(t, settle, parts...), mutant.Converse(t, settle, parts...)
		// Each has a status line for each request that it understood.
		if strings.Count(want, "HTTP/1.1 200") != strings.Count(got, "HTTP/1.1 200") {
			found = append(found, name)
		}
	}
	for _, name := range []string{"POST, with a GET in its head", "half a head behind a request", "three bytes behind a request", "a head in lines"} {
		if !slices.Contains(found, name) {
			t.Errorf("%q does not tell them apart, but %q", name, found)
		}
	}
}

// Metrics and access log have the same of an answer by the lane as of one by net/http.
func TestLaneIsWrittenDownAlike(t *testing.T) {
	var written [2][]string
	var counted [2]map[string]int64
	for i, keys := range []string{"fast_lane: true", "fast_lane: false"} {
		c := newCounted(t, keys)
		c.converse(t, []string{wireGet("/f/a"), wireGet("/f/a"), wireGet("/pkg", npmFields...), wireGet("/pkg", npmFields...)})
		if i == 0 {
			c.barrier(t)
		}
		served := c.served(t)
		var log bytes.Buffer
		g, err := c.edge.build(c.edge.cfg, c.edge.serving())
		if err != nil {
			t.Fatal(err)
		}
		lines := accesslog.NewWriter(&log)
		g.Access = accesslog.NewJSON(lines)
		c.edge.use(g)
		var requests []string
		for range 3 {
			requests = append(requests, wireGet("/f/a", "User-Agent: x", "Traceparent: "+traceparent), wireGet("/f/a", `If-None-Match: "ea"`), wireGet("/pkg", npmFields...), wireGet("/pkg/1.0.0"))
		}
		before := c.handled.Load()
		c.converse(t, requests)
		if byLane := int64(len(requests)) - (c.handled.Load() - before); byLane != []int64{9, 0}[i] {
			t.Errorf("%s: %d requests are answered by the lane", keys, byLane)
		}
		counted[i] = c.served(t)
		lines.Flush(t.Context())
		for line := range strings.Lines(log.String()) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			delete(fields, "time")
			delete(fields, "id")
			delete(fields, "seconds")
			written[i] = append(written[i], fmt.Sprint(fields))
		}
		for of, n := range served { // before the log was there
			counted[i][of] -= n
		}
	}
	if !strings.Contains(written[0][0], " trace:"+traceID+" ") {
		t.Errorf("no trace in %s", written[0][0])
	}
	if !slices.Equal(written[0], written[1]) || len(written[0]) != 12 {
		t.Errorf("with a lane\n%s\nwithout\n%s", strings.Join(written[0], "\n"), strings.Join(written[1], "\n"))
	}
	if !maps.Equal(counted[0], counted[1]) || counted[0]["files hit"] == 0 {
		t.Errorf("with a lane %v, without %v", counted[0], counted[1])
	}
}

// laneConn is a connection that an edge's lane reads one request from, again and again.
type laneConn struct {
	net.Conn
	request string
	left    int
}

func (c *laneConn) Read(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, io.EOF
	}
	return copy(p, c.request), nil
}

func (c *laneConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *laneConn) SetReadDeadline(time.Time) error  { return nil }
func (c *laneConn) SetWriteDeadline(time.Time) error { return nil }
func (c *laneConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// newLaneConn returns the connection of an edge that answers n of a request by its lane, at
// the next Read.
func newLaneConn(t testing.TB, request string, log bool) (ask func(n int)) {
	c := newCounted(t, "limits: { rate: 1e9, burst: 1000000000 }")
	if log {
		g, err := c.edge.build(c.edge.cfg, c.edge.serving())
		if err != nil {
			t.Fatal(err)
		}
		g.Access = accesslog.NewJSON(accesslog.NewWriter(io.Discard))
		c.edge.use(g)
	}
	if _, byLane := c.repeated(t, request); !byLane {
		t.Fatal("not by the lane")
	}
	wire := &laneConn{request: request}
	conn := (&framing.Guard{Lane: c.edge.lane, Idle: time.Minute, Stalled: time.Minute}).Wrap(wire)
	p := make([]byte, 4096)
	return func(n int) {
		wire.left = n
		if n, err := conn.Read(p); n != 0 || err != io.EOF {
			t.Fatal("not by the lane:", n, err)
		}
	}
}

func TestLaneAllocatesNothing(t *testing.T) {
	if edgetest.Race {
		t.Skip("allocations are not those of the program")
	}
	for name, request := range map[string]string{"a file": wireGet("/f/a"), "npm": wireGet("/pkg", npmFields...), "40 kB": wireGet("/f/large")} {
		t.Run(name, func(t *testing.T) {
			ask := newLaneConn(t, request, name == "npm")
			if n := testing.AllocsPerRun(5, func() { ask(1000) }); n > 20 { // those of a look-up once a second, and of the pool
				t.Errorf("%v allocations for 1000 hits", n)
			}
		})
	}
}

func BenchmarkLane(b *testing.B) {
	for name, request := range map[string]string{"file": wireGet("/f/a"), "npm": wireGet("/pkg", npmFields...)} {
		for _, log := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s,log=%t", name, log), func(b *testing.B) {
				ask := newLaneConn(b, request, log)
				b.ReportAllocs()
				b.ResetTimer()
				ask(b.N)
			})
		}
	}
}

// Inside TLS the lane says the same as net/http, and HTTP/2 is none of its business.
func TestLaneInsideTLS(t *testing.T) {
	t.Parallel()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	loaded, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var said [2][]string
	names := []string{"one", "two", "npm", "bun", "large", "pipelined", "POST", "chunked", "POST of a request", "if-none-match", "range", "HTTP/1.0, kept alive", "pipelined, one not for a lane"}
	for i, keys := range []string{"fast_lane: true", "fast_lane: false"} {
		c := new(counted)
		c.spoken = startSpoken(t, keys, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.handled.Add(1)
				next.ServeHTTP(w, r)
			})
		}, func(e *testEdge) { e.listener.TLS = &tls.Config{Certificates: []tls.Certificate{loaded}} })
		converse := func(text string, protocols ...string) string {
			conn, err := tls.Dial("tcp", c.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(edgetest.Patience))
			io.WriteString(conn, text)
			all, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			c.edge.settle(t)
			return edgetest.Settled(string(all))
		}
		for _, name := range names {
			text := strings.Join(conversations[name], "")
			if !strings.HasSuffix(text, "HTTP/1.0\r\n\r\n") {
				text += wireGet("/f/a", "Connection: close")
			}
			converse(text)
			converse(text)
			said[i] = append(said[i], converse(text, "http/1.1"))
		}
		var log bytes.Buffer
		lines := accesslog.NewWriter(&log)
		g, err := c.edge.build(c.edge.cfg, c.edge.serving())
		if err != nil {
			t.Fatal(err)
		}
		g.Access = accesslog.NewJSON(lines)
		c.edge.use(g)
		converse(wireGet("/f/a") + wireGet("/f/a", "Connection: close"))
		before := c.handled.Load()
		converse(wireGet("/f/a") + wireGet("/f/a", "Connection: close"))
		if handled := c.handled.Load() - before; handled != int64(i+1) {
			t.Errorf("%s: %d requests are handled", keys, handled)
		}
		lines.Flush(t.Context())
		if n := strings.Count(log.String(), `"tls":"1.3"`); n != 4 {
			t.Errorf("%s: %d lines name the version of TLS:\n%s", keys, n, &log)
		}
		client := edgetest.NewClient(t, &tls.Config{InsecureSkipVerify: true})
		if resp, _, err := edgetest.GetText(t, client, "https://"+c.addr+"/f/a"); err != nil || resp.ProtoMajor != 2 {
			t.Errorf("HTTP/2: %v", err)
		}
	}
	for i, name := range names {
		if said[0][i] != said[1][i] {
			t.Errorf("%s: with a lane\n%.1000s\nwithout\n%.1000s", name, said[0][i], said[1][i])
		}
	}
}
