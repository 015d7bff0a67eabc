package limit

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestOneClientDoesNotTakeAllPlaces(t *testing.T) {
	var s Shares
	greedy := netip.MustParseAddr("2001:db8::1")
	var leaves []func()
	enter := func(a netip.Addr) bool {
		leave, ok := s.Enter("npm", a)
		if ok {
			leaves = append(leaves, leave)
		}
		return ok
	}
	for i := range contested {
		if !enter(greedy) {
			t.Fatalf("refused with %d under way", i)
		}
	}
	for _, a := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"} {
		if enter(netip.MustParseAddr(a)) {
			t.Errorf("%s has more than its share", a)
		}
	}
	for i := range share {
		if !enter(netip.MustParseAddr("192.0.2.1")) {
			t.Errorf("another client is refused after %d", i)
		}
	}
	if enter(netip.MustParseAddr("::ffff:192.0.2.1")) {
		t.Error("a mapped address is another client")
	}
	if leave, ok := s.Enter("other", greedy); !ok {
		t.Error("shares of one group count in another")
	} else {
		leave()
	}
	for _, leave := range leaves[:contested-share+1] {
		leave()
		leave() // counts once
	}
	if !enter(greedy) {
		t.Error("no place after requests have ended")
	}
	for _, leave := range leaves {
		leave()
	}
	if len(s.counts) > 0 {
		t.Errorf("left behind: %v", s.counts)
	}
	for i := range contested {
		if !enter(netip.Addr{}) {
			t.Fatal(fmt.Sprint("no address: refused after ", i))
		}
	}
	if enter(netip.Addr{}) {
		t.Error("a client without an address has no bound")
	}
}
