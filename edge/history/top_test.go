package history

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestTheMostCountedAreFoundAmongStrangers(t *testing.T) {
	var top Top
	now := start
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 40_000 {
		now = now.Add(2 * time.Millisecond) // 500 a second: each is counted
		top.Count("npm", fmt.Sprintf("stranger-%d", i), 1, now)
		if n := random.IntN(100); n < 10 {
			top.Count("npm", fmt.Sprintf("known-%d", n/3), 1, now) // 0, 1 and 2: three in a hundred each; 3: one
		}
	}
	got := top.List(now, 4)
	found := map[string]int64{}
	for _, r := range got {
		found[r.Name.Name] = r.Count
	}
	for _, name := range []string{"known-0", "known-1", "known-2"} {
		if n := found[name]; n < 800 || n > 1400 {
			t.Errorf("%s was counted %d times; want about 1200. The list is %v", name, n, got)
		}
	}
	if found["known-3"] == 0 || got[3].Name.Name != "known-3" {
		t.Errorf("the fourth is %v", got[3])
	}
	for i := range top.windows {
		if n := len(top.windows[i].heap); n > counters || len(top.windows[i].at) != n {
			t.Errorf("window %d has %d counters, and finds %d", i, n, len(top.windows[i].at))
		}
	}
}

func TestAnHourAgoIsForgotten(t *testing.T) {
	var top Top
	top.Count("npm", "old", 1, start)
	top.Count("npm", "new", 1, start.Add(30*time.Minute))
	if got := top.List(start.Add(50*time.Minute-1), 9); len(got) != 2 {
		t.Errorf("within the hour: %v", got)
	}
	if got := top.List(start.Add(time.Hour), 9); len(got) != 1 || got[0].Name.Name != "new" {
		t.Errorf("after it: %v", got)
	}
	top.Count("npm", "newer", 1, start.Add(time.Hour)) // in the place of the first window
	if got := top.List(start.Add(time.Hour), 9); len(got) != 2 || got[0].Name.Name != "new" {
		t.Errorf("after it: %v", got)
	}
}

func TestABusyEdgeCountsOneInSoMany(t *testing.T) {
	var top Top
	now := start
	const rate, seconds = 20_000, 6
	for range rate * seconds {
		now = now.Add(time.Second / rate)
		top.Count("npm", "busy", 1, now)
	}
	if every := top.every.Load(); every < 8 || every > 64 {
		t.Errorf("one in %d is counted", every)
	}
	if got := top.List(now, 1)[0].Count; got < rate*seconds*8/10 || got > rate*seconds*12/10 {
		t.Errorf("%d were counted; want about %d", got, rate*seconds)
	}
	for range 600 {
		now = now.Add(100 * time.Millisecond)
		top.Count("npm", "quiet", 1, now)
	}
	if every := top.every.Load(); every > 1 {
		t.Errorf("one in %d is counted when all is quiet", every)
	}
}

// A name with few requests and much behind each is found, too.
func TestBytesAreCountedAsRequestsAre(t *testing.T) {
	var top Top
	for i := range 3 * counters {
		top.Count("npm", fmt.Sprintf("small-%d", i), 1000, start)
	}
	if n := top.Count("npm", "large", 1<<30, start); n != 1 {
		t.Errorf("a request stands for %d", n)
	}
	if got := top.List(start, 1)[0]; got.Name.Name != "large" || got.Count != 1<<30 {
		t.Errorf("the first is %v", got)
	}
	top.every.Store(1 << 16)
	for range 1000 {
		if n := top.Count("npm", "large", 1, start); n != 0 && n != 1<<16 {
			t.Fatalf("one in %d stands for %d", 1<<16, n)
		}
	}
}

func TestALongNameIsCut(t *testing.T) {
	var top Top
	top.Count("files", string(make([]byte, 8<<10)), 1, start)
	if got := top.List(start, 1)[0].Name.Name; len(got) != maxName {
		t.Errorf("a name of %d bytes is kept", len(got))
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	var top Top
	top.Count("npm", "left-pad", 1, start)
	if n := testing.AllocsPerRun(1000, func() { top.Count("npm", "left-pad", 1, start) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCountIsSafeAndWaitsForNobody(t *testing.T) {
	var top Top
	top.mu.Lock()
	top.Count("npm", "left-pad", 1, start) // returns though the lock is held
	top.mu.Unlock()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				top.Count("npm", fmt.Sprint(i%300), 1, start)
			}
			top.List(start, 10)
		})
	}
	all.Wait()
}

func BenchmarkCount(b *testing.B) {
	for _, every := range []uint32{1, 64} {
		b.Run(fmt.Sprintf("one in %d", every), func(b *testing.B) {
			var top Top
			top.every.Store(every)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					top.Count("npm", "left-pad", 1, start)
				}
			})
		})
	}
}
