package limit

import (
	"net/netip"
	"sync"
	"testing"
)

func TestCeilings(t *testing.T) {
	var c Ceiling
	for range 1000 {
		if c.Enter(alice) != Entered {
			t.Fatal("a ceiling without bounds refuses")
		}
	}
	for range 1000 {
		c.Leave(alice)
	}
	c.Set(Bounds{All: 5, Each: 3, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for i, tt := range []struct {
		client string
		want   Verdict
	}{
		{"2001:db8::1", Entered}, {"2001:db8::2", Entered}, {"2001:db8::ffff:1", Entered}, {"2001:db8::3", FullOfOwn},
		{"192.0.2.1", Entered}, {"::ffff:192.0.2.1", Entered}, {"192.0.2.9", FullOfAll}, {"10.0.0.1", FullOfAll}, {"2001:db8::3", FullOfOwn},
	} {
		if got := c.Enter(addr(tt.client)); got != tt.want {
			t.Errorf("%d: %s: %d; want %d", i, tt.client, got, tt.want)
		}
	}
	for range 3 {
		c.Leave(addr("2001:db8::4"))
	}
	for range 3 {
		if got := c.Enter(addr("10.0.0.1")); got != Entered {
			t.Errorf("after some have left: %d", got)
		}
	}
	for range 2 {
		c.Leave(addr("192.0.2.1"))
	}
	for range 2 {
		if got := c.Enter(addr("::ffff:10.0.0.1")); got != Entered {
			t.Errorf("an exempt client has a bound of its own: %d", got)
		}
	}
	n, _, refused := c.Figures()
	if n != 5 || refused != (Refusals{All: 2, Each: 2}) || len(c.clients) != 1 {
		t.Errorf("%d, %+v, %d clients", n, refused, len(c.clients))
	}
}

// A flood of other addresses frees nobody, and leaves nothing behind.
func TestAFloodDoesNotTurnACeilingOver(t *testing.T) {
	var c Ceiling
	c.Set(Bounds{All: 4, Each: 2})
	c.Enter(alice)
	c.Enter(alice)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				if s := stranger(w<<24 | i); c.Enter(s) == Entered {
					c.Leave(s)
				}
			}
		})
	}
	wg.Wait()
	if c.Enter(alice) != FullOfOwn {
		t.Error("alice has one more")
	}
	if len(c.clients) != 1 {
		t.Errorf("%d clients are left behind", len(c.clients))
	}
}

// A request asks for its place under a ceiling as often as it fetches, and has one.
func TestARequestHasOnePlaceUnderACeiling(t *testing.T) {
	var requests, misses Ceiling
	misses.Set(Bounds{Each: 1})
	alice := netip.MustParseAddr("192.0.2.1")
	var p, other Places
	for range 3 {
		if p.Enter(&requests, alice) != Entered || p.Enter(&misses, alice) != Entered {
			t.Fatal("a request was refused for its own place")
		}
	}
	if got := other.Enter(&misses, alice); got != FullOfOwn {
		t.Errorf("another request of the client: %v", got)
	}
	other.Leave(alice)
	p.Leave(alice)
	for _, c := range []*Ceiling{&requests, &misses} {
		if n, _, _ := c.Figures(); n != 0 {
			t.Errorf("%d places are left", n)
		}
	}
}
