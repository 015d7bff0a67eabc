package server

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

func TestCalm(t *testing.T) {
	var c calm
	now := time.Now()
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	flood := func(client netip.Prefix, wait time.Duration) {
		t.Helper()
		c.add(client, now)
		c.add(client, now) // another connection of the same flood
		if !c.refuses(client, now) || !c.refuses(client, now.Add(wait-1)) || c.refuses(client, now.Add(wait)) {
			t.Errorf("it does not wait for %s", wait)
		}
		now = now.Add(wait)
	}
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 32} {
		flood(a, wait*time.Second)
	}
	if c.refuses(b, now) {
		t.Error("another client waits")
	}
	now = now.Add(forgiven + 1)
	flood(a, time.Second)

	// However many clients flood, none that waits is let go for them.
	c.add(a, now)
	for i := range 2 * maxFlooders {
		c.add(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), now)
	}
	if len(c.clients) != maxFlooders || !c.refuses(a, now) {
		t.Errorf("%d clients wait, the first: %v", len(c.clients), c.refuses(a, now))
	}
	now = now.Add(longestCalm + forgiven + 1)
	flood(b, time.Second)
}

// A client that has flooded a connection is noted, and one that is noted shakes no hands.
func TestFloodersWait(t *testing.T) {
	config, _ := pairOf(t)
	s := New(edgetest.QuietLog())
	l := openLoopback(t, s, "tls.listen", func(http.ResponseWriter, *http.Request) {})
	l.TLS = config
	st := startServer(t, s)
	a := newAttacker(t, l.Addr().String())
	for range 2 * 1000 {
		if a.WritePing(false, [8]byte{1}) != nil {
			break
		}
	}
	_ = edgetest.Receive(t, a.gone, "the end")
	me := netip.MustParsePrefix("127.0.0.1/32")
	edgetest.Until(t, "its wait", func() bool {
		s.calm.mu.Lock()
		defer s.calm.mu.Unlock()
		return s.calm.clients[me].wait == firstCalm
	})
	s.calm.mu.Lock()
	s.calm.clients[me] = flooder{until: time.Now().Add(time.Hour)}
	s.calm.mu.Unlock()
	if c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true}); err == nil {
		c.Close()
		t.Error("a handshake")
	}
	st.stop()
	edgetest.Receive(t, st.done, "the end of Run")
}

// A request that was reset before its handler began costs no answer.
func TestResetRequestsAreNotAnswered(t *testing.T) {
	for _, reset := range []bool{false, true} {
		called := false
		h := encrypted{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true })}
		ctx, cancel := context.WithCancel(t.Context())
		if reset {
			cancel()
		}
		h.ServeHTTP(nil, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		cancel()
		if called == reset {
			t.Errorf("reset = %v, answered = %v", reset, called)
		}
	}
}
