package limit

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// takes counts how many requests client gets through at one instant.
func takes(l *Limiter, client netip.Addr, now time.Time) int {
	for n := 0; ; n++ {
		if _, ok := l.Take(client, now); !ok || n == 1000 {
			return n
		}
	}
}

func TestLimitIsOffUnlessTheRateIsAPositiveNumber(t *testing.T) {
	for _, r := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		l := New(Config{Rate: r, Burst: 1})
		if l != nil {
			t.Errorf("rate %v: got a limiter, want none", r)
		}
		for range 3 {
			if wait, ok := l.Take(alice, start); !ok || wait != 0 {
				t.Errorf("rate %v: Take = %v, %v, want 0, true", r, wait, ok)
			}
		}
		l.Charge(alice, start, 100)
	}
}

func TestABurstThenTheRate(t *testing.T) {
	l := New(Config{Rate: 2, Burst: 5})
	if got := takes(l, alice, start); got != 5 {
		t.Errorf("at once: %d requests, want the burst of 5", got)
	}
	if got := takes(l, bob, start); got != 5 {
		t.Errorf("another client: %d requests, want 5 of its own", got)
	}
	if got := takes(l, alice, start.Add(time.Second)); got != 2 {
		t.Errorf("a second later: %d requests, want 2", got)
	}
	if got := takes(l, alice, start.Add(time.Hour)); got != 5 {
		t.Errorf("an hour later: %d requests, want no more than the burst", got)
	}
}

func TestBurstByDefaultIsTenSecondsAndNeverLessThanAMiss(t *testing.T) {
	for _, c := range []struct {
		rate float64
		want int
	}{{0.5, Miss}, {1, 10}, {2.5, 25}, {40, 400}} {
		if got := takes(New(Config{Rate: c.rate}), alice, start); got != c.want {
			t.Errorf("rate %v: %d at once, want %d", c.rate, got, c.want)
		}
	}
}

func TestAMissIsChargedAfterwardsAsDebt(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 4})
	if _, ok := l.Take(alice, start); !ok {
		t.Fatal("the first request was refused")
	}
	l.Charge(alice, start, Miss-Hit) // more than a burst: 4 - 10 leaves -6
	wait, ok := l.Take(alice, start)
	if ok || wait != 7*time.Second {
		t.Errorf("Take in debt = %v, %v, want 7s, false", wait, ok)
	}
	if _, ok := l.Take(alice, start.Add(6*time.Second)); ok {
		t.Error("allowed before the debt was paid")
	}
	if _, ok := l.Take(alice, start.Add(7*time.Second)); !ok {
		t.Error("refused after the debt was paid")
	}
}

func TestChargeOfNothingChangesNothing(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 3})
	l.Charge(alice, start, 0)
	l.Charge(alice, start, -5)
	if got := takes(l, alice, start); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
}

func TestRetryAfterIsWholeSecondsAndIsTrue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		cfg := Config{Rate: math.Exp(random.Float64()*9 - 2), Burst: 1 + random.IntN(30)}
		l, now := New(cfg), start
		for range 20 {
			now = now.Add(time.Duration(random.Int64N(int64(time.Second))))
			l.Charge(alice, now, random.IntN(Miss))
			wait, ok := l.Take(alice, now)
			if ok {
				continue
			}
			if wait < time.Second || wait%time.Second != 0 {
				t.Fatalf("%+v: wait %v is not whole seconds", cfg, wait)
			}
			if wait > time.Second {
				if _, ok := l.Take(alice, now.Add(wait-time.Second)); ok {
					t.Fatalf("%+v: allowed a second before the %v it was told", cfg, wait)
				}
			}
			now = now.Add(wait)
			if _, ok := l.Take(alice, now); !ok {
				t.Fatalf("%+v: refused after the %v it was told to wait", cfg, wait)
			}
		}
	}
}

func TestRetryAfterIsAtMostADay(t *testing.T) {
	l := New(Config{Rate: 1e-300, Burst: 1})
	takes(l, alice, start)
	if wait, ok := l.Take(alice, start); ok || wait != 24*time.Hour {
		t.Errorf("Take = %v, %v, want 24h, false", wait, ok)
	}
}

func TestWhoIsOneClient(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"::1", "0.0.0.1", false},
	} {
		l := New(Config{Rate: 1, Burst: 1})
		takes(l, addr(c.a), start)
		if _, ok := l.Take(addr(c.b), start); ok == c.same {
			t.Errorf("%s and %s: one client = %v, want %v", c.a, c.b, !ok, c.same)
		}
	}
}

func TestPeersWithoutAnAddressShareOneBudget(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 3})
	if got := takes(l, netip.Addr{}, start); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
}

func TestExemptClientsAreNeverCharged(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 2, Exempt: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("::ffff:172.16.0.0/108"),
		netip.MustParsePrefix("fe80::/10"),
	}})
	for _, c := range []struct {
		client string
		want   int
	}{
		{"10.1.2.3", 1000},
		{"::ffff:10.1.2.3", 1000},
		{"172.16.9.9", 1000},
		{"fe80::1%eth0", 1000},
		{"11.1.2.3", 2},
		{"2001:db8::1", 2},
	} {
		if got := takes(l, addr(c.client), start); got != c.want {
			t.Errorf("%s: %d requests, want %d", c.client, got, c.want)
		}
	}
	exempt := addr("10.1.2.3")
	l.Charge(exempt, start, 100)
	if _, ok := l.Take(exempt, start); !ok {
		t.Error("an exempt client was charged")
	}
}

// held counts the slots in use.
func held(l *Limiter) (n int) {
	for i := range l.shards {
		n += len(l.shards[i].slots)
	}
	return n
}

func TestTableNeverHoldsMoreThanItsBound(t *testing.T) {
	for _, bound := range []int{1, 2, 63, 200, 1000, 5000} {
		l := New(Config{Rate: 1, Burst: 1, MaxClients: bound})
		for i := range 3 * bound {
			l.Take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), start)
		}
		if got := held(l); got > bound || got < bound*9/10 {
			t.Errorf("bound %d: %d slots in use", bound, got)
		}
		for i := range l.shards {
			s := &l.shards[i]
			ring := 0
			for at := s.ring.next; at != &s.ring; at = at.next {
				if s.slots[at.client] != at {
					t.Fatalf("bound %d: %v is in the ring but not in the table", bound, at.client)
				}
				ring++
			}
			if ring != len(s.slots) {
				t.Fatalf("bound %d: ring of %d, table of %d", bound, ring, len(s.slots))
			}
		}
	}
}

func TestTheClientSeenMostRecentlyKeepsItsSlot(t *testing.T) {
	l := New(Config{Rate: 1e-9, Burst: 3, MaxClients: 1 + oldest})
	takes(l, alice, start)
	for i := range 100 {
		l.Take(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), start)
		if _, ok := l.Take(alice, start); ok {
			t.Fatalf("after %d strangers alice was forgotten while active", i+1)
		}
	}
}

func TestAnIdleClientIsForgottenBeforeAnIndebtedOne(t *testing.T) {
	l := New(Config{Rate: 1e-9, Burst: 3, MaxClients: 2})
	takes(l, alice, start) // the older, but spent
	l.Take(bob, start)     // the newer, with two left
	stranger := addr("198.51.100.1")
	if got := takes(l, stranger, start); got != 2 {
		t.Errorf("the newcomer got %d requests, want the 2 that bob left", got)
	}
	if _, ok := l.Take(alice, start); ok {
		t.Error("alice was forgotten, and with her what she had spent")
	}
}

func TestComingWithNewAddressesMakesNoNewBudget(t *testing.T) {
	const slots, burst = 50, 4
	l := New(Config{Rate: 1e-9, Burst: burst, MaxClients: slots})
	allowed := 0
	for i := range 10000 {
		if _, ok := l.Take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), start); ok {
			allowed++
		}
	}
	if allowed > slots*burst {
		t.Errorf("%d requests allowed, want at most the %d of a full table", allowed, slots*burst)
	}
	if allowed < slots {
		t.Errorf("%d requests allowed, want at least one for each of %d slots", allowed, slots)
	}
}

func TestConcurrentClientsGetExactlyTheirBudget(t *testing.T) {
	const workers, clients, burst = 8, 20, 30
	l := New(Config{Rate: 1e-9, Burst: burst})
	var (
		mu      sync.Mutex
		allowed = make(map[netip.Addr]int)
		wg      sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for i := range clients * burst {
				client := netip.AddrFrom4([4]byte{10, 0, 0, byte(i % clients)})
				if _, ok := l.Take(client, start); ok {
					mu.Lock()
					allowed[client]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for client, n := range allowed {
		if n != burst {
			t.Errorf("%v: %d allowed, want %d", client, n, burst)
		}
	}
	if len(allowed) != clients {
		t.Errorf("%d clients, want %d", len(allowed), clients)
	}
}

func TestAKnownClientCostsNoAllocation(t *testing.T) {
	l := New(Config{Rate: 1000, Burst: 1000, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	client := addr("2001:db8::1")
	l.Take(client, start)
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		l.Take(client, now)
		l.Charge(client, now, Miss-Hit)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkTakeKnownClient(b *testing.B) {
	l := New(Config{Rate: 1e9, Burst: 1e9})
	clients := make([]netip.Addr, 1024)
	for i := range clients {
		clients[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		l.Take(clients[i], start)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i, now := rand.IntN(len(clients)), time.Now()
		for pb.Next() {
			i++
			l.Take(clients[i%len(clients)], now)
		}
	})
}

func BenchmarkTakeStrangerInAFullTable(b *testing.B) {
	l := New(Config{Rate: 1, Burst: 100})
	for i := range 2 * DefaultMaxClients {
		l.Take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), start)
	}
	b.ReportAllocs()
	var n uint32
	for b.Loop() {
		n++
		l.Take(netip.AddrFrom4([4]byte{11 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)}), start)
	}
}
