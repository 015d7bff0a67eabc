package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/limit"
)

// attacker is a client of HTTP/2 that writes frames as it likes.
type attacker struct {
	*http2.Framer
	conn *tls.Conn
	next uint32 // stream
	gone chan error
}

// newAttacker connects. All that the server sends is read, and windows are not opened.
func newAttacker(t *testing.T, addr string, settings ...http2.Setting) *attacker {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(edgetest.Patience))
	a := &attacker{Framer: http2.NewFramer(c, c), conn: c, next: 1, gone: make(chan error, 1)}
	io.WriteString(c, http2.ClientPreface)
	a.AllowIllegalWrites = true
	a.WriteSettings(settings...)
	go func() {
		for {
			f, err := a.ReadFrame()
			if away, ok := f.(*http2.GoAwayFrame); ok && away.ErrCode != http2.ErrCodeNo {
				err = errors.New(away.ErrCode.String())
			}
			if err != nil {
				a.gone <- err
				return
			}
		}
	}()
	return a
}

// get begins a request, and returns its stream.
func (a *attacker) get(path string, end bool) uint32 {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", path}} {
		e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	id := a.next
	a.next += 2
	a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b.Bytes(), EndStream: true, EndHeaders: end})
	return id
}

// floods are frames that carry nothing, again and again.
var floods = map[string]func(a *attacker, i int) error{
	"SETTINGS":      func(a *attacker, _ int) error { return a.WriteSettings() },
	"SETTINGS acks": func(a *attacker, _ int) error { return a.WriteSettingsAck() },
	"PING":          func(a *attacker, _ int) error { return a.WritePing(false, [8]byte{1}) },
	"PING acks":     func(a *attacker, _ int) error { return a.WritePing(true, [8]byte{1}) },
	"PRIORITY": func(a *attacker, _ int) error {
		return a.WritePriority(99, http2.PriorityParam{StreamDep: 1, Weight: 1})
	},
	"unknown frames": func(a *attacker, _ int) error { return a.WriteRawFrame(0xfe, 0, 0, nil) },
	"WINDOW_UPDATE":  func(a *attacker, _ int) error { return a.WriteWindowUpdate(0, 1) },
	"rapid reset": func(a *attacker, _ int) error {
		return a.WriteRSTStream(a.get("/", true), http2.ErrCodeCancel)
	},
	"resets that it provokes": func(a *attacker, _ int) error { return a.WriteWindowUpdate(a.get("/hold", true), 1<<31-1) },
	"empty DATA": func(a *attacker, i int) error {
		if i == 0 {
			var b bytes.Buffer
			e := hpack.NewEncoder(&b)
			for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}} {
				e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			return a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b.Bytes(), EndHeaders: true})
		}
		return a.WriteData(1, false, nil)
	},
	"CONTINUATION": func(a *attacker, i int) error {
		if i == 0 {
			a.get("/", false)
		}
		return a.WriteContinuation(1, false, nil)
	},
	"large CONTINUATION": func(a *attacker, i int) error {
		if i == 0 {
			a.get("/", false)
		}
		return a.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 1000))
	},
}

// floodServer answers over TLS, and tells how many requests have come.
func floodServer(t *testing.T) (addr string, client *http.Client) {
	t.Helper()
	config, trust := pairOf(t)
	s := New(edgetest.QuietLog())
	s.Conns.Set(limit.Bounds{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // the others come from there, too
	l := openLoopback(t, s, "tls.listen", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hold":
			<-r.Context().Done()
		case "/large":
			w.Write(make([]byte, 8<<20))
		default:
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "ok")
		}
	})
	l.TLS = config
	s.DrainLimit = 0
	st := startServer(t, s)
	t.Cleanup(func() {
		st.stop()
		edgetest.Receive(t, st.done, "the end of Run")
	})
	return l.Addr().String(), edgetest.NewClient(t, trust)
}

// A client that floods its connection loses it, and others are answered meanwhile.
func TestFloodsOfFrames(t *testing.T) {
	addr, other := floodServer(t)
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttacker(t, addr)
			for sent := range 4000 {
				if flood(a, sent) != nil {
					break
				}
			}
			edgetest.Receive(t, a.gone, "its end")
			if _, body, err := edgetest.GetText(t, other, "https://"+addr+"/"); err != nil || body != "ok" {
				t.Errorf("another client: %q, %v", body, err)
			}
		})
	}
}

// The end of a flood is told: GOAWAY with ENHANCE_YOUR_CALM.
func TestTheEndOfAFloodIsTold(t *testing.T) {
	addr, _ := floodServer(t)
	a := newAttacker(t, addr)
	for range 2 * 1000 {
		if a.WritePing(false, [8]byte{1}) != nil {
			break
		}
	}
	if err := edgetest.Receive(t, a.gone, "the end"); err.Error() != http2.ErrCodeEnhanceYourCalm.String() {
		var reset *net.OpError // the client was still writing
		if !errors.As(err, &reset) {
			t.Errorf("ended with %v", err)
		}
	}
}

// Clients that are busy, and change their minds, are none of these.
func TestBusyClientsAreNoFlood(t *testing.T) {
	addr, client := floodServer(t)
	for range 3 { // 24 MB, with a WINDOW_UPDATE for every few frames
		resp, err := client.Get("https://" + addr + "/large")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n != 8<<20 || err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("%d bytes, %v, %s", n, err, resp.Proto)
		}
	}
	a := newAttacker(t, addr)
	for range 300 {
		a.WriteRSTStream(a.get("/", true), http2.ErrCodeCancel)
		a.WritePing(false, [8]byte{1})
	}
	a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	a.conn.CloseWrite()
	if err := edgetest.Receive(t, a.gone, "the end"); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
}
