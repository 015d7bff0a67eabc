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
	start = time.Now().Add(time.Hour) // after the beginning of every limiter
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// takes counts how many requests client gets through at one instant.
func takes(l *Limiter, client netip.Addr, now time.Time) int {
	for n := 0; ; n++ {
		if _, ok := l.Take(client, now, Hit); !ok || n == 1000 {
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
			if wait, ok := l.Take(alice, start, Hit); !ok || wait != 0 {
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

func TestAMissIsTakenInAdvanceAndGivenBack(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 25})
	fetch := func() bool {
		if _, ok := l.Take(alice, start, Hit); !ok {
			t.Fatal("out of hits")
		}
		_, ok := l.Take(alice, start, Miss-Hit)
		return ok
	}
	for range 2 {
		if !fetch() {
			t.Fatal("a burst of 25 pays for two misses")
		}
	}
	wait, ok := l.Take(alice, start, Miss-Hit) // of 9, with 5 left, of which 2 are for hits
	if ok || wait != 6*time.Second {
		t.Errorf("a third: %v, %v; want 6s, false", wait, ok)
	}
	if got := takes(l, alice, start); got != 5 {
		t.Errorf("%d hits; the refused miss cost something", got)
	}
	l.Charge(alice, start, -(Miss - Hit))
	if got := takes(l, alice, start); got != Miss-Hit {
		t.Errorf("%d hits after a miss was given back, want %d", got, Miss-Hit)
	}
	l.Charge(alice, start, -1000)
	if got := takes(l, alice, start); got != 25 {
		t.Errorf("%d hits, want no more than the burst", got)
	}
}

func TestASmallBurstPaysForAMissAtATime(t *testing.T) {
	for burst := 1; burst <= Miss; burst++ {
		l := New(Config{Rate: 1, Burst: burst})
		if _, ok := l.Take(alice, start, Hit); !ok {
			t.Fatalf("burst %d: no hit", burst)
		}
		if _, ok := l.Take(alice, start, Miss-Hit); !ok {
			t.Errorf("burst %d: no miss ever", burst)
		}
		if _, ok := l.Take(alice, start, Hit); ok {
			t.Errorf("burst %d: and one more", burst)
		}
	}
}

// A client that spends all it has on misses, for as long as it likes, is refused no hit.
func TestMissesLeaveATenthOfTheBurstToHits(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 200})
	misses, now := 0, start
	for range 300 {
		if _, ok := l.Take(alice, now, Hit); !ok {
			t.Fatalf("after %d misses no hit is left", misses)
		}
		if _, ok := l.Take(alice, now, Absent-Hit); ok {
			misses++
		} else {
			l.Charge(alice, now, -Hit)
		}
		now = now.Add(10 * time.Millisecond)
	}
	if misses < 9 || misses > 11 { // 180 at once, and 30 earned
		t.Errorf("%d misses, want about 10", misses)
	}
	if got := takes(l, alice, now); got < 20 {
		t.Errorf("%d hits are left, want a tenth of the burst", got)
	}
}

func TestADebtIsABurstAtMost(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 4})
	l.Charge(alice, start, 1_000_000)
	wait, ok := l.Take(alice, start, Hit) // -4
	if ok || wait != 5*time.Second {
		t.Errorf("Take in debt = %v, %v, want 5s, false", wait, ok)
	}
	if _, ok := l.Take(alice, start.Add(4*time.Second), Hit); ok {
		t.Error("allowed before the debt was paid")
	}
	if _, ok := l.Take(alice, start.Add(5*time.Second), Hit); !ok {
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
	for range 300 {
		cfg := Config{Rate: math.Exp(random.Float64()*9 - 2), Burst: 1 + random.IntN(30)}
		l, now := New(cfg), start
		for range 20 {
			now = now.Add(time.Duration(random.Int64N(int64(time.Second))))
			l.Charge(alice, now, random.IntN(Miss))
			wait, ok := l.Take(alice, now, Hit)
			if ok {
				continue
			}
			if wait < time.Second || wait%time.Second != 0 {
				t.Fatalf("%+v: wait %v is not whole seconds", cfg, wait)
			}
			if wait > time.Second {
				if _, ok := l.Take(alice, now.Add(wait-time.Second), Hit); ok {
					t.Fatalf("%+v: allowed a second before the %v it was told", cfg, wait)
				}
			}
			now = now.Add(wait)
			if _, ok := l.Take(alice, now, Hit); !ok {
				t.Fatalf("%+v: refused after the %v it was told to wait", cfg, wait)
			}
		}
	}
}

func TestBudgets(t *testing.T) {
	l := New(Config{Rate: 2, Burst: 25, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, tt := range []struct {
		charge     int
		left, full int
	}{{0, 25, 0}, {1, 24, 1}, {4, 20, 3}, {20, 0, 13}, {15, 0, 20}} {
		l.Charge(alice, start, tt.charge)
		if got, ok := l.Budget(alice, start); !ok || got != (Budget{25, 13, tt.left, tt.full}) {
			t.Errorf("after %d: %+v, %v; want %d, full in %d s", tt.charge, got, ok, tt.left, tt.full)
		}
	}
	if _, ok := l.Budget(addr("10.0.0.1"), start); ok {
		t.Error("an exempt client has a budget")
	}
	if _, ok := (*Limiter)(nil).Budget(alice, start); ok {
		t.Error("there is a budget without a limit")
	}
}

func TestRetryAfterIsAtMostADay(t *testing.T) {
	l := New(Config{Rate: 1e-300, Burst: 1})
	takes(l, alice, start)
	if wait, ok := l.Take(alice, start, Hit); ok || wait != 24*time.Hour {
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
		if _, ok := l.Take(addr(c.b), start, Hit); ok == c.same {
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
	if _, ok := l.Take(exempt, start, Hit); !ok {
		t.Error("an exempt client was charged")
	}
}

// stranger is the n-th of many addresses.
func stranger(n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestManyAddressesFreeNoDrainedBudget(t *testing.T) {
	l := New(Config{Rate: 1e-9, Burst: 100})
	takes(l, alice, start)
	for i := range 80_000 { // more than a row has cells
		l.Take(stranger(i), start, Hit)
	}
	if _, ok := l.Take(alice, start, Hit); ok {
		t.Error("alice is free of what she has spent")
	}
}

func TestManyAddressesDrainNoStranger(t *testing.T) {
	const burst = 2000
	l := New(Config{Rate: 1e-9, Burst: burst})
	for i := range 1000 { // drained, and deep in debt
		l.Charge(stranger(i), start, 10*burst)
	}
	for i := range 80_000 { // a hit each
		l.Take(stranger(1_000_000+i), start, Hit)
	}
	drained := 0
	for i := range 2000 {
		client := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		if _, ok := l.Take(client, start, burst*8/10); !ok {
			drained++
			continue
		}
		l.Charge(client, start, -burst*8/10)
	}
	if drained > 0 { // by chance, one in 18 million
		t.Errorf("%d of 2,000 clients find their budgets spent by others", drained)
	}
}

func TestBudgetsFillWhileOthersFlood(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 20})
	takes(l, alice, start)
	for i := range 20_000 {
		l.Take(stranger(i), start.Add(time.Duration(i)*50*time.Microsecond), Hit)
	}
	if got := takes(l, alice, start.Add(time.Second)); got < 9 || got > 10 {
		t.Errorf("%d requests after a second, want about 10", got)
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
				if _, ok := l.Take(client, start, Hit); ok {
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
	l.Take(client, start, Hit)
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		l.Take(client, now, Hit)
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
		l.Take(clients[i], start, Hit)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i, now := rand.IntN(len(clients)), time.Now()
		for pb.Next() {
			i++
			l.Take(clients[i%len(clients)], now, Hit)
		}
	})
}

func BenchmarkTakeStranger(b *testing.B) {
	l := New(Config{Rate: 1, Burst: 100})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		l.Take(stranger(n), start, Hit)
	}
}
