package transport

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func TestReach(t *testing.T) {
	for text, want := range map[string]reach{
		"127.0.0.1": loopback, "127.9.9.9": loopback, "::1": loopback, "::ffff:127.0.0.1": loopback,
		"10.1.2.3": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private, "100.64.0.1": private, "fd00::1": private, "::ffff:10.0.0.1": private,
		"169.254.169.254": local, "fe80::1": local, "fe80::1%eth0": local, "0.0.0.0": local, "::": local, "0.1.2.3": local, "224.0.0.1": local, "255.255.255.255": local,
		"64:ff9b::a00:1": local, "2002:a00:1::": local, "192.0.0.170": local,
		"8.8.8.8": public, "172.32.0.1": public, "192.169.0.1": public, "2001:db8::1": public, "203.0.113.9": public,
	} {
		if got := reachOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %d; want %d", text, got, want)
		}
	}
}

func TestPermit(t *testing.T) {
	for _, tt := range []struct {
		from reach
		to   string
		ok   bool
	}{
		{public, "203.0.113.9:443", true}, {public, "10.0.0.1:443", false}, {public, "127.0.0.1:80", false}, {public, "[::1]:80", false}, {public, "169.254.169.254:80", false},
		{private, "10.0.0.1:443", true}, {private, "203.0.113.9:443", true}, {private, "127.0.0.1:80", false}, {private, "169.254.169.254:80", false},
		{loopback, "127.0.0.1:80", true}, {loopback, "203.0.113.9:443", true}, {loopback, "10.0.0.1:443", false}, {loopback, "169.254.169.254:80", false},
		{public, "no address", false},
	} {
		if err := permit(tt.from, tt.to); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrPrivate) {
			t.Errorf("from %d to %s: %v", tt.from, tt.to, err)
		}
	}
}

// An address is looked at when it is dialled, by any name; and the
// master's own part of the network is open to its redirects.
func TestRedirectIsLookedAtWhenItIsDialled(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	inside := server.URL
	transport := New(Timeouts{Connect: time.Minute, FirstByte: time.Minute, Idle: time.Minute})
	defer transport.CloseIdleConnections()
	f := transport.Client(parse(t, inside)).Transport.(*guard)
	f.host = "registry.example" // which is not where the redirect leads
	for from, ok := range map[string]bool{"": false, "203.0.113.9": false, "10.1.2.3": false, "169.254.169.254": false, "127.0.0.1": true} {
		f.peer.Store(nil)
		if from != "" {
			var master net.Addr = &net.TCPAddr{IP: net.ParseIP(from), Port: 443}
			f.peer.Store(&master)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, inside, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := f.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != ok || !ok && !errors.Is(err, ErrPrivate) {
			t.Errorf("from %q: err = %v", from, err)
		}
	}
}

// A master's own connections tell where it is.
func TestMasterIsWhereItAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	transport := New(Timeouts{Connect: time.Minute, FirstByte: time.Minute, Idle: time.Minute})
	defer transport.CloseIdleConnections()
	client := transport.Client(parse(t, server.URL))
	g := client.Transport.(*guard)
	resp, err := client.Get(server.URL)
	if err != nil || g.reach() != loopback {
		t.Fatalf("it is in %d, %v", g.reach(), err)
	}
	resp.Body.Close()
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
