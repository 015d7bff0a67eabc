package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/limit"
)

// at is a connection of a client, in the table, that is idle since a second.
func at(table *Conns, addr string, idle time.Duration) *conn {
	inner, _ := net.Pipe()
	c := &conn{Conn: inner, client: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), at: -1}
	if !table.add(c) {
		return nil
	}
	c.activity.Idle(time.Now().Add(-idle))
	return c
}

func (c *conn) isClosed() bool { return c.Conn.SetDeadline(time.Time{}) != nil }

func TestConnectionsHaveACeiling(t *testing.T) {
	table := new(Conns)
	table.Set(limit.Bounds{All: 5, Each: 3, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	var alices []*conn
	for i := range 3 {
		alices = append(alices, at(table, "[2001:db8::1]:9", time.Duration(10-i)*time.Minute))
	}
	fourth := at(table, "[2001:db8::2]:9", 0)
	if fourth == nil || !alices[0].isClosed() || alices[1].isClosed() || alices[2].isClosed() {
		t.Fatalf("one too many of a client: %v; want the one that was idle longest closed", fourth)
	}
	bob := at(table, "192.0.2.1:9", time.Hour)
	carol := at(table, "192.0.2.2:9", 0)
	if carol == nil || bob == nil || bob.isClosed() || table.Figures().Open != 5 {
		t.Fatalf("another client has no place: %+v", table.Figures())
	}
	dave := at(table, "192.0.2.3:9", 0)
	if dave == nil || !bob.isClosed() {
		t.Fatal("one too many of all: the one that was idle longest stays")
	}
	for _, c := range []*conn{alices[1], alices[2], fourth, carol, dave} {
		c.activity.Work()
	}
	if at(table, "[2001:db8::3]:9", 0) != nil || at(table, "192.0.2.4:9", 0) != nil {
		t.Error("a connection at work makes place")
	}
	carol.activity.Head(time.Now())
	if at(table, "10.0.0.1:9", 0) == nil || !carol.isClosed() {
		t.Error("a head in parts makes no place")
	}
	f := table.Figures()
	if f.Refused != (limit.Refusals{All: 1, Each: 1}) || f.IdleClosed != 2 || f.PartialClosed != 1 {
		t.Errorf("%+v", f)
	}
	for len(table.open) > 0 {
		c := table.open[len(table.open)/2]
		c.Close()
		c.Close()
	}
	if len(table.clients) > 0 {
		t.Errorf("%d clients are left", len(table.clients))
	}
	for range 9 {
		if at(table, "10.0.0.1:9", 0) == nil {
			t.Fatal("an exempt client has a bound of its own")
		}
	}
}

// A head that is sent for seconds makes place before a connection that is idle, whose client may ask
// again at this moment. One that has just begun does not.
func TestSlowHeadsMakePlaceFirst(t *testing.T) {
	for took, slowFirst := range map[time.Duration]bool{0: false, 5 * time.Second: true} {
		table := new(Conns)
		table.Set(limit.Bounds{All: 2})
		idle, slow := at(table, "192.0.2.1:9", time.Minute), at(table, "192.0.2.2:9", 0)
		slow.activity.Head(time.Now().Add(-took))
		if at(table, "192.0.2.3:9", 0) == nil || slow.isClosed() != slowFirst || idle.isClosed() == slowFirst {
			t.Errorf("after %s: slow one closed %v, idle one closed %v", took, slow.isClosed(), idle.isClosed())
		}
	}
}

// A flood of clients with one connection each closes the idle ones of the flood in
// proportion, and leaves no table behind.
func TestAFloodOfAddresses(t *testing.T) {
	table := new(Conns)
	table.Set(limit.Bounds{All: 100, Each: 10})
	var b [16]byte
	copy(b[:], []byte{0x20, 1, 0xd, 0xb8})
	busy := at(table, "192.0.2.1:9", 0)
	busy.activity.Work()
	for i := range 2000 {
		b[4], b[5], b[6] = byte(i>>16), byte(i>>8), byte(i)
		if at(table, netip.AddrPortFrom(netip.AddrFrom16(b), 9).String(), 0) == nil {
			t.Fatal("no place, with idle ones there")
		}
	}
	if busy.isClosed() {
		t.Error("a connection at work was closed")
	}
	if len(table.open) != 100 || len(table.clients) != 100 {
		t.Errorf("%d connections, %d clients", len(table.open), len(table.clients))
	}
}

// Idle connections make place for new ones, plain and encrypted, in HTTP/1 and HTTP/2. One
// that waits for an answer does not.
func TestIdleConnectionsMakePlace(t *testing.T) {
	t.Parallel()
	config, trust := pairOf(t)
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			s := New(edgetest.QuietLog())
			s.Conns.Set(limit.Bounds{All: 100, Each: 4})
			begun, hold := make(chan context.Context, 10), make(chan struct{})
			l := openLoopback(t, s, "listen", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					begun <- r.Context()
					<-hold
				}
				io.WriteString(w, "ok")
			})
			scheme := "http://"
			if secure {
				l.TLS, scheme = config, "https://"
			}
			st := startServer(t, s)
			url := scheme + l.Addr().String()
			ask := func(c *http.Client, path string) (string, error) {
				_, body, err := edgetest.GetText(t, c, url+path)
				return body, err
			}
			slow := edgetest.NewClient(t, trust)
			ended := make(chan error, 1)
			go func() {
				_, err := ask(slow, "/slow")
				ended <- err
			}()
			edgetest.Receive(t, begun, "a slow request")
			if body, err := ask(slow, "/"); secure && err != nil { // a second stream of HTTP/2
				t.Errorf("beside it: %q, %v", body, err)
			}
			for i := range 20 {
				c := edgetest.NewClient(t, trust)
				if body, err := ask(c, "/"); err != nil || body != "ok" {
					t.Errorf("client %d: %q, %v", i, body, err)
				}
			}
			if f := s.Conns.Figures(); f.Open > 4 || f.IdleClosed < 16 {
				t.Errorf("%+v", f)
			}
			close(hold)
			if err := edgetest.Receive(t, ended, "the slow answer"); err != nil {
				t.Errorf("the slow request: %v", err)
			}
			st.stop()
			edgetest.Receive(t, st.done, "the end of Run")
			if n := s.Conns.Figures().Open; n != 0 {
				t.Errorf("%d are left in the table", n)
			}
		})
	}
}

// Where all are at work a new connection is closed.
func TestBusyConnectionsStay(t *testing.T) {
	t.Parallel()
	s := New(edgetest.QuietLog())
	s.Conns.Set(limit.Bounds{All: 2})
	begun, hold := make(chan struct{}, 10), make(chan struct{})
	l := openLoopback(t, s, "listen", func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-hold
	})
	st := startServer(t, s)
	var held []net.Conn
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for range 2 {
		c := dial()
		io.WriteString(c, request)
		edgetest.Receive(t, begun, "a request")
		held = append(held, c)
	}
	more := dial()
	more.SetDeadline(time.Now().Add(edgetest.Patience))
	if n, err := more.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("a third: %d, %v; want its end", n, err)
	}
	close(hold)
	for _, c := range held {
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("one of the two: %v", err)
		}
	}
	st.stop()
	edgetest.Receive(t, st.done, "the end of Run")
}
