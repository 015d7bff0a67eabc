package fastlane

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/framing"
)

// stored is a Lookup of one body.
type stored struct {
	body     string
	figures  Figures
	gone     bool
	spent    bool
	answered []string
}

func (s *stored) Find(time.Time) (framing.Body, Figures, bool) {
	return framing.Body{Bytes: []byte(s.body)}, s.figures, !s.gone
}

func (s *stored) Begin(r *Request, _ time.Time) (netip.Addr, bool) { return r.Peer, !s.spent }

func (s *stored) End(r *Request, client netip.Addr, _ time.Time, status int, sent int64, err error) {
	s.answered = append(s.answered, fmt.Sprintf("%s %q %d %d %v", client, r.Agent, status, sent, err))
}

// answerOf is an offer of the slow path, with all figures.
func offerOf(key string, s *stored) *Offer {
	h := http.Header{
		"Age": {seconds(s.figures.Age)}, "Cache-Control": {"public, max-age=" + seconds(s.figures.Life) + ", immutable"},
		"Cache-Status": {"other; hit; ttl=7", "edge; hit; ttl=" + seconds(s.figures.TTL) + "; detail=hit"},
		"Content-Type": {"text/plain"}, "Content-Length": {fmt.Sprint(len(s.body))}, "Etag": {`"e"`}, "Vary": {"A", "B"},
	}
	return &Offer{Key: key, Header: h, Figures: s.figures, Lookup: s}
}

// wire is a connection that reads requests, and keeps the answers.
type wire struct {
	net.Conn
	requests string
	answers  strings.Builder
	err      error
}

func (w *wire) Read(p []byte) (int, error) {
	if w.requests == "" {
		return 0, io.EOF
	}
	n := copy(p, w.requests)
	w.requests = w.requests[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	return w.answers.Write(p)
}

func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7} }

// ask returns the lane's answers to requests, and the bytes of those that it left.
func ask(l *Lane, w *wire) (answers, left string) {
	c := (&framing.Guard{Lane: l, Idle: time.Minute, Stalled: time.Minute}).Wrap(w)
	p := make([]byte, 4096)
	n, _ := c.Read(p)
	return w.answers.String(), string(p[:n])
}

const request = "GET /a HTTP/1.1\r\nHost: edge\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n"

var key = string(appendKey(nil, false, "edge", "/a", "*/*", ""))

func TestAnswerHasTheFiguresOfNow(t *testing.T) {
	s := &stored{body: "body", figures: Figures{Age: 5 * time.Second, TTL: 55 * time.Second, Life: 30 * time.Second}}
	l := New("edge-x", 8)
	l.Offer(offerOf(key, s))
	s.figures = Figures{Age: 65 * time.Second, TTL: 0, Life: 1500 * time.Millisecond}
	got, left := ask(l, &wire{requests: request})
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	before, date, _ := strings.Cut(head, "\r\nDate: ")
	want := "HTTP/1.1 200 OK\r\nAge: 65\r\nCache-Control: public, max-age=1, immutable\r\nCache-Status: other; hit; ttl=7\r\n" +
		"Cache-Status: edge; hit; ttl=0; detail=hit\r\nContent-Length: 4\r\nContent-Type: text/plain\r\nEtag: \"e\"\r\nVary: A\r\nVary: B"
	if before != want || body != "body" || left != "" {
		t.Errorf("got\n%s\n%q, and left %q", before, body, left)
	}
	if at, err := http.ParseTime(date); err != nil || time.Since(at) > time.Minute {
		t.Errorf("date %q", date)
	}
	if want := `192.0.2.1 "test" 200 4 <nil>`; len(s.answered) != 1 || s.answered[0] != want {
		t.Errorf("written down: %q, want %q", s.answered, want)
	}
}

func TestNotModified(t *testing.T) {
	s := &stored{body: "body"}
	l := New("edge-x", 8)
	l.Offer(offerOf(key, s))
	got, _ := ask(l, &wire{requests: strings.Replace(request, "\r\n\r\n", "\r\nIf-None-Match: \"e\"\r\n\r\n", 1)})
	if !strings.HasPrefix(got, "HTTP/1.1 304 Not Modified\r\nAge: 0\r\n") || strings.Contains(got, "Content-") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("got %q", got)
	}
	if want := `192.0.2.1 "test" 304 0 <nil>`; len(s.answered) != 1 || s.answered[0] != want {
		t.Errorf("written down: %q", s.answered)
	}
}

func TestLargeBodiesAreWhole(t *testing.T) {
	for _, size := range []int{copied, copied + 1, MaxBody} {
		s := &stored{body: strings.Repeat("#", size)}
		l := New("edge-x", 8)
		l.Offer(offerOf(key, s))
		w := &wire{requests: request + request}
		got, _ := ask(l, w)
		if strings.Count(got, "#") != 2*size || len(s.answered) != 2 {
			t.Errorf("%d bytes: %d sent, %q", size, strings.Count(got, "#"), s.answered)
		}
	}
}

func TestLaneDeclines(t *testing.T) {
	for name, tt := range map[string]struct {
		request string
		change  func(l *Lane, s *stored)
	}{
		"not found any more": {request, func(_ *Lane, s *stored) { s.gone = true }},
		"a spent budget":     {request, func(_ *Lane, s *stored) { s.spent = true }},
		"draining":           {request, func(l *Lane, _ *stored) { l.Drain() }},
		"forgotten":          {request, func(l *Lane, _ *stored) { l.Forget() }},
		"another host":       {strings.Replace(request, "Host: edge", "Host: edge:80", 1), nil},
		"another target":     {strings.Replace(request, "/a", "/a?", 1), nil},
		"another accept":     {strings.Replace(request, "*/*", "text/plain", 1), nil},
		"another coding":     {strings.Replace(request, "\r\n\r\n", "\r\nAccept-Encoding: gzip\r\n\r\n", 1), nil},
		"an empty tag":       {strings.Replace(request, "\r\n\r\n", "\r\nIf-None-Match:\r\n\r\n", 1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stored{body: "body"}
			l := New("edge-x", 8)
			l.Offer(offerOf(key, s))
			if tt.change != nil {
				tt.change(l, s)
			}
			if got, left := ask(l, &wire{requests: tt.request}); got != "" || left != tt.request || len(s.answered) > 0 {
				t.Errorf("answered %q, left %q, written down %q", got, left, s.answered)
			}
		})
	}
}

// An offer whose figures are not where they are said to be, or that no head may have, is
// not taken.
func TestOddOffers(t *testing.T) {
	for name, spoil := range map[string]func(o *Offer){
		"no age":           func(o *Offer) { delete(o.Header, "Age") },
		"another age":      func(o *Offer) { o.Header.Set("Age", "9") },
		"another ttl":      func(o *Offer) { o.Figures.TTL += time.Minute },
		"a ttl cut short":  func(o *Offer) { o.Header.Set("Cache-Status", "edge; ttl=01") },
		"another lifetime": func(o *Offer) { o.Figures.Life += time.Minute },
		"a control":        func(o *Offer) { o.Header.Set("X", "\x01") },
		"a line feed":      func(o *Offer) { o.Header.Set("X", "a\nb") },
	} {
		t.Run(name, func(t *testing.T) {
			l := New("edge-x", 8)
			o := offerOf(key, &stored{body: "body"})
			spoil(o)
			l.Offer(o)
			if l.Knows(key, time.Now()) {
				t.Error("taken")
			}
		})
	}
}

func TestFailedSendIsWrittenDown(t *testing.T) {
	s := &stored{body: "body"}
	l := New("edge-x", 8)
	l.Offer(offerOf(key, s))
	ask(l, &wire{requests: request, err: errors.New("broken pipe")})
	if want := `192.0.2.1 "test" 200 0 broken pipe`; len(s.answered) != 1 || s.answered[0] != want {
		t.Errorf("written down: %q", s.answered)
	}
}

// The table stays within its size, and an answer takes the place of the one with its key.
func TestTable(t *testing.T) {
	table := newTable(16)
	for i := range 1000 {
		table.put(&answer{key: fmt.Sprint(i % 500)})
		if a := table.find([]byte(fmt.Sprint(i % 500))); a == nil || a.key != fmt.Sprint(i%500) {
			t.Fatal("not found behind put")
		}
	}
	keys := make(map[string]bool)
	for i := range table.slots {
		if a := table.slots[i].Load(); a != nil && keys[a.key] {
			t.Errorf("%s is there twice", a.key)
		} else if a != nil {
			keys[a.key] = true
		}
	}
	if len(table.slots) != 16 {
		t.Errorf("%d slots", len(table.slots))
	}
	table.clear()
	if table.find([]byte("499")) != nil {
		t.Error("found behind clear")
	}
}

// The key of a request that net/http has read is the lane's own.
func TestKeys(t *testing.T) {
	for text, want := range map[string]string{
		request: key,
		strings.Replace(request, "GET", "HEAD", 1):                                                 "",
		strings.Replace(request, "HTTP/1.1", "HTTP/1.0", 1):                                        "",
		strings.Replace(request, "/a", "http://edge/a", 1):                                         "",
		strings.Replace(request, "\r\n\r\n", "\r\nX-A: b\r\n\r\n", 1):                              "",
		strings.Replace(request, "\r\n\r\n", "\r\nAccept: a\r\n\r\n", 1):                           "",
		strings.Replace(request, "\r\n\r\n", "\r\nAccept-Encoding:\r\n\r\n", 1):                    "",
		strings.Replace(request, "\r\n\r\n", "\r\nNPM-Session: x\r\n\r\n", 1):                      key,
		strings.Replace(request, "\r\n\r\n", "\r\nAccept-Encoding: a\r\n\r\n", 1):                  string(appendKey(nil, false, "edge", "/a", "*/*", "a")),
		strings.Replace(request, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1): "",
	} {
		h, r := new(framing.Head), new(Request)
		if size, err := h.Parse([]byte(text)); size == 0 || err != nil {
			t.Fatal(size, err)
		}
		have := ""
		if h.Length == 0 && r.read(h, false, []byte("edge-x")) {
			have = string(r.key)
		}
		if have != want {
			t.Errorf("%q: the lane has %q, want %q", text, have, want)
		}
		req, err := http.ReadRequest(reader(text))
		if err != nil {
			t.Fatal(err)
		}
		if have := KeyOf(req); have != want {
			t.Errorf("%q: KeyOf has %q, want %q", text, have, want)
		}
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	if edgetest.Race {
		t.Skip("allocations are not those of the program")
	}
	s := &quiet{stored{body: strings.Repeat("x", 2048)}}
	l := New("edge-x", 8)
	o := offerOf(key, &s.stored)
	o.Lookup = s
	l.Offer(o)
	w := &wire{}
	c := (&framing.Guard{Lane: l, Idle: time.Minute, Stalled: time.Minute}).Wrap(sink{w})
	p := make([]byte, 4096)
	if n := testing.AllocsPerRun(500, func() {
		w.requests = request
		c.Read(p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// quiet does not remember its answers, and makes no bytes.
type quiet struct{ stored }

var quietBody = make([]byte, 2048)

func (q *quiet) Find(time.Time) (framing.Body, Figures, bool) {
	return framing.Body{Bytes: quietBody}, q.figures, true
}

func (q *quiet) End(*Request, netip.Addr, time.Time, int, int64, error) {}

// sink drops answers.
type sink struct{ *wire }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkHit(b *testing.B) {
	s := &quiet{stored{body: strings.Repeat("x", 2048)}}
	l := New("edge-x", 8)
	o := offerOf(key, &s.stored)
	o.Lookup = s
	l.Offer(o)
	w := &wire{}
	c := (&framing.Guard{Lane: l, Idle: time.Minute, Stalled: time.Minute}).Wrap(sink{w})
	p := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		w.requests = request
		c.Read(p)
	}
}

func reader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }
