package history

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// counters is how many names are counted at a time.
	counters = 256
	// A window is a part of the hour with counters of its own; the oldest is dropped as a whole.
	windows = 6
	window  = time.Hour / windows
	// perSecond is about how many requests a second are counted; of more, one in so many is
	// chosen by chance.
	perSecond = 1000
	// maxName is the longest name that is kept, in bytes.
	maxName = 160
)

// Name is a package or a file of a site.
type Name struct{ Site, Name string }

// Ranked is a name and about how much was counted of it in the last hour.
type Ranked struct {
	Name
	Count int64
}

// Top finds the names that are counted most. It has a fixed number of counters, and gives
// the smallest one to a name that has none (the algorithm is known as space-saving): a name
// with more than a 256th of all that is counted in ten minutes is never missed, however many other
// names a stranger makes up. Its zero value is ready, and it is safe for concurrent use.
//
// Hits call it, so it never waits: while another request is counted, a request is left
// out. Counting is bounded to a thousand requests a second, of which each then stands for several.
type Top struct {
	every atomic.Uint32 // a power of two, or 0 for 1: one request of so many is counted

	mu      sync.Mutex
	second  time.Time // the beginning of the second
	counted uint32    // in it
	windows [windows]sketch
}

// Count counts n more of a name: requests or bytes. It returns for how many requests this one
// stands, or 0 where it was left out.
func (t *Top) Count(site, name string, n int64, now time.Time) (standsFor int64) {
	every := t.every.Load()
	if every > 1 && rand.Uint32()&(every-1) != 0 {
		return 0
	}
	if !t.mu.TryLock() {
		return 0
	}
	defer t.mu.Unlock()
	t.pace(now, max(every, 1))
	if len(name) > maxName {
		name = name[:maxName]
	}
	standsFor = int64(max(every, 1))
	t.window(now).add(Name{site, name}, n*standsFor)
	return standsFor
}

// pace chooses how many requests are counted. More than twice the bound lowers the share at once.
func (t *Top) pace(now time.Time, every uint32) {
	t.counted++
	switch since := now.Sub(t.second); {
	case since >= time.Second || since < 0:
		if t.counted < perSecond/4 && every > 1 {
			t.every.Store(every / 2)
		} else if t.counted > perSecond {
			t.every.Store(every * 2)
		}
	case t.counted > 2*perSecond && every < 1<<20:
		t.every.Store(every * 2)
	default:
		return
	}
	t.second, t.counted = now, 0
}

// window returns the counters of a time. mu is held.
func (t *Top) window(now time.Time) *sketch {
	number := now.UnixNano() / int64(window)
	w := &t.windows[number%windows]
	if w.number != number {
		w.clear()
		w.number = number
	}
	return w
}

// List returns the n names that were counted most in the last hour, the first before all.
func (t *Top) List(now time.Time, n int) []Ranked {
	oldest := now.UnixNano()/int64(window) - windows
	sums := make(map[Name]int64)
	t.mu.Lock()
	for i := range t.windows {
		if w := &t.windows[i]; w.number > oldest {
			for _, c := range w.heap {
				sums[c.name] += c.count - c.over
			}
		}
	}
	t.mu.Unlock()
	all := make([]Ranked, 0, len(sums))
	for name, count := range sums {
		all = append(all, Ranked{name, count})
	}
	slices.SortFunc(all, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name.Site, b.Name.Site), strings.Compare(a.Name.Name, b.Name.Name))
	})
	return all[:min(n, len(all))]
}

// sketch is the counters of one window.
type sketch struct {
	number int64 // of the window, since 1970
	at     map[Name]int
	heap   []counter // the smallest count first
}

// counter counts a name. over is how much of its count may belong to the names that had it before.
type counter struct {
	name        Name
	count, over int64
}

func (s *sketch) clear() {
	clear(s.at)
	clear(s.heap)
	s.heap = s.heap[:0]
}

// add counts a name.
func (s *sketch) add(name Name, n int64) {
	if s.at == nil {
		s.at, s.heap = make(map[Name]int, counters), make([]counter, 0, counters)
	}
	i, known := s.at[name]
	switch {
	case known:
		s.heap[i].count += n
	case len(s.heap) < counters:
		i = len(s.heap)
		s.heap = append(s.heap, counter{name: kept(name), count: n})
		s.at[s.heap[i].name] = i
		s.up(i)
		return
	default:
		i = 0
		least := &s.heap[0]
		delete(s.at, least.name)
		*least = counter{name: kept(name), count: least.count + n, over: least.count}
		s.at[least.name] = 0
	}
	s.down(i)
}

// kept is a name whose text is its own: a route's is a part of a longer one.
func kept(n Name) Name { return Name{n.Site, strings.Clone(n.Name)} }

func (s *sketch) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if s.heap[parent].count <= s.heap[i].count {
			return
		}
		s.swap(i, parent)
		i = parent
	}
}

func (s *sketch) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.heap[child+1].count < s.heap[child].count {
			child++
		}
		if s.heap[i].count <= s.heap[child].count {
			return
		}
		s.swap(i, child)
		i = child
	}
}

func (s *sketch) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.at[s.heap[i].name], s.at[s.heap[j].name] = i, j
}
