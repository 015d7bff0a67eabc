package framing

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// stub is a lane that answers GET /a.
type stub struct {
	begun chan struct{} // nil, or told of each answer
	end   chan struct{} // then waited for
}

const stubAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlane"

func (s stub) Answer(c *Conn, h *Head) (bool, error) {
	if string(h.Target) != "/a" {
		return false, nil
	}
	if s.begun != nil {
		s.begun <- struct{}{}
		<-s.end
	}
	_, err := c.Send(time.Now(), []byte(stubAnswer), Body{})
	return true, err
}

// A lane is asked for a whole request without a body, of which nothing has been handed up.
func TestLaneIsAskedByTheRule(t *testing.T) {
	e := startEcho(t, &Guard{Lane: stub{}, Idle: time.Minute, Header: time.Minute, Stalled: time.Minute})
	const lane, other = "lane", "net/http"
	for name, tt := range map[string]struct {
		parts []string
		want  []string
	}{
		"at first":                {[]string{get}, []string{lane}},
		"and again":               {[]string{get, get, get}, []string{lane, lane, lane}},
		"behind another":          {[]string{get2, get, get2, get}, []string{other, lane, other, lane}},
		"pipelined":               {[]string{get + get + get2 + get + get}, []string{lane, lane, other, other, other}},
		"pipelined before a part": {[]string{get + get2[:20], get2[20:], get}, []string{lane, other, lane}},
		"in parts":                {[]string{get[:1], get[1:], get}, []string{other, lane}},
		"as a rest":               {[]string{"GET /b HTTP/1.1\r\n", get, get}, []string{"400"}},
		"in a body":               {[]string{post("1c\r\n"), get + "\r\n0\r\n\r\n", get}, []string{other, lane}},
		"behind a body":           {[]string{post("0\r\n\r\n") + get, get}, []string{other, other, lane}},
		"with a body":             {[]string{"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", get}, []string{other, lane}},
		"behind an empty line":    {[]string{get2, "\r\n" + get}, []string{other, lane}},
		"empty lines at first":    {[]string{"\r\n\r\n" + get + "\r\n" + get}, []string{lane, lane}},
		"an empty line alone":     {[]string{get, "\r\n", get, "\r", "\n" + get2, "\r\n", get}, []string{lane, lane, other, lane}},
		"an empty line in parts":  {[]string{get, "\r", "\n", get, "\r", "\n"}, []string{lane, lane}},
		"many empty lines":        {[]string{get, strings.Repeat("\r\n", maxEmptyLines) + get, strings.Repeat("\r\n", maxEmptyLines) + get}, []string{lane, lane, lane}},
		"too many empty lines":    {[]string{get, strings.Repeat("\r\n", maxEmptyLines), "\r\n" + get}, []string{lane, "400"}},
		"a CR behind another":     {[]string{get, "\r", get2}, []string{lane, "400"}},
	} {
		t.Run(name, func(t *testing.T) {
			said, seen, _ := e.converse(t, tt.parts)
			var have []string
			for _, answer := range strings.Split(said, "HTTP/1.1 ")[1:] {
				switch {
				case strings.HasSuffix(answer, "lane"):
					have = append(have, lane)
				case strings.HasPrefix(answer, "400"):
					have = append(have, "400")
				default:
					have = append(have, other)
				}
			}
			// A pipelined request may be begun by the background read of the one before, or not.
			if strings.Join(have, " ") != strings.Join(tt.want, " ") && !strings.Contains(name, "pipelined") && name != "behind a body" || len(have) != len(tt.want) {
				t.Errorf("answered by %q, want %q; seen %q", have, tt.want, seen)
			}
		})
	}
}

// http.Server.Shutdown closes a connection that it takes for an idle one: the answer under
// way is sent whole. A second Close cuts it.
func TestCloseWaitsForTheAnswer(t *testing.T) {
	for name, closes := range map[string]int{"once": 1, "twice": 2} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			lane := stub{make(chan struct{}), make(chan struct{})}
			c := (&Guard{Lane: lane, Idle: time.Minute, Stalled: time.Minute}).Wrap(server)
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 4096))
				read <- err
			}()
			go io.WriteString(client, get)
			edgetest.Receive(t, lane.begun, "a request")
			for range closes {
				c.Close()
			}
			close(lane.end)
			client.SetDeadline(time.Now().Add(edgetest.Patience))
			said, err := io.ReadAll(client)
			if err != nil || string(said) != map[int]string{1: stubAnswer}[closes] {
				t.Errorf("got %q, %v", said, err)
			}
			if err := edgetest.Receive(t, read, "the end of Read"); err == nil {
				t.Error("read goes on")
			}
		})
	}
}

// deadlines is a connection of requests that notes the deadlines that are set.
type deadlines struct {
	net.Conn
	requests    []string
	read, write []time.Time
}

func (d *deadlines) Read(p []byte) (int, error) {
	if len(d.requests) == 0 {
		return 0, io.EOF
	}
	n := copy(p, d.requests[0])
	d.requests = d.requests[1:]
	return n, nil
}

func (d *deadlines) Write(p []byte) (int, error)         { return len(p), nil }
func (d *deadlines) SetReadDeadline(at time.Time) error  { d.read = append(d.read, at); return nil }
func (d *deadlines) SetWriteDeadline(at time.Time) error { d.write = append(d.write, at); return nil }
func (d *deadlines) RemoteAddr() net.Addr                { return pipeAddr }

var pipeAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}

// Behind answers of the lane net/http's idle deadline is set, which net/http set long ago;
// for a request that goes to net/http, that of a head, unless net/http will set it.
func TestDeadlinesBehindAnswers(t *testing.T) {
	g := &Guard{Lane: stub{}, Idle: 100 * time.Second, Header: 10 * time.Second, Stalled: 60 * time.Second}
	about := func(at time.Time, d time.Duration) bool {
		left := time.Until(at)
		return left > d-5*time.Second && left <= d
	}
	for name, idle := range map[string]bool{"a new connection": false, "an idle one": true} {
		t.Run(name, func(t *testing.T) {
			d := &deadlines{requests: []string{get2}}
			c := g.Wrap(d).(*plainConn).Conn
			p := make([]byte, 4096)
			if idle {
				c.Read(p)
				c.setState(http.StateActive)
				c.setState(http.StateIdle)
			}
			d.requests = []string{get, get, get, get2}
			if n, err := c.Read(p); n != len(get2) || err != nil {
				t.Fatal(n, err)
			}
			want := 1
			if !idle {
				want = 2
			}
			if len(d.read) != want || !about(d.read[0], g.Idle) || !idle && !about(d.read[1], g.Header) {
				t.Errorf("for reading: %v", d.read)
			}
			if len(d.write) != 2 || !about(d.write[0], g.Stalled) || !d.write[1].IsZero() {
				t.Errorf("for writing: %v", d.write)
			}
		})
	}
}

// The end of the connection behind an answer is the end of Read.
func TestLaneFails(t *testing.T) {
	client, server := net.Pipe()
	c := (&Guard{Lane: stub{}, Idle: time.Minute, Stalled: time.Minute}).Wrap(server)
	go func() {
		io.WriteString(client, get)
		client.Close()
	}()
	if n, err := c.Read(make([]byte, 4096)); n != 0 || err == nil || errors.Is(err, errDesynchronised) {
		t.Errorf("got %d, %v", n, err)
	}
}
