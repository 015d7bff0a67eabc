package origin

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/kind"
)

// pins are what was written of late. Until another master has shown the change,
// what was written is read from the primary.
type pins struct {
	some atomic.Bool // false while there never was one
	seed maphash.Seed
	mu   sync.Mutex
	of   map[string]*pin // by the name of a group or a key
}

// pin is a write, and what has been seen of it.
type pin struct {
	at    time.Time     // of the write
	key   string        // of the document that the primary has given since, "" for none so far
	memo  uint64        // that document's, see sum; 0 where it has none
	fewer bool          // it lacks what was there before: who still has that looks newer
	trial time.Time     // when another master may be tried
	wait  time.Duration // from then to the next trial
}

const (
	// pinned is how long after a write files of it are asked of the primary
	// first, and clients wait for an answer rather than have a stale one.
	pinned = time.Minute
	// longestPin is how long after a write its metadata is read from the primary
	// at most: a master that shows nothing by then never will.
	longestPin = time.Hour
	// firstTrial is how long after the primary has shown a change another master
	// is tried. The time doubles with each trial, so that there are ten at most.
	firstTrial = 5 * time.Second
	// maxPins bounds them; beyond it the oldest ones make room.
	maxPins = 4096
	// A document of which it is not known whether it has the change is fresh for
	// ten seconds: it may come out of a cache, and is treated like what does.
	briefly, relayed = "public, max-age=11", "1"
)

// stance is what a read has to do with a write. Of two the later one holds.
type stance uint8

const (
	free     stance = iota
	tried           // ask another master first, to see whether it has the change
	compared        // ask the primary first; what another one says can be compared
	first           // ask the primary first, and nobody else before it has failed
)

// errUnshown is a document that still has what a write took away.
var errUnshown = fmt.Errorf("%w: the primary has removed something since", kind.ErrOlder)

func newPins() *pins { return &pins{seed: maphash.MakeSeed(), of: make(map[string]*pin)} }

// Wrote says that what marks name has changed at the primary, by a client or by
// the registry's own account. Reads of it ask the primary before any other
// master, until another master shows what the primary showed after the change:
// for an hour at most, and files for a minute. Other masters are tried in passing,
// by ten reads at most. What one of them says of it before the primary has been
// heard is kept for ten seconds.
func (s *Site) Wrote(marks []kind.Mark) {
	now := time.Now()
	for _, m := range marks {
		s.pool.pins.add(m.Name, now)
	}
}

// Written says that what r asks for was changed a moment ago: no older answer
// will do while the primary can give one.
func (s *Site) Written(r kind.Route) bool {
	now := time.Now()
	return slices.ContainsFunc(s.pool.pins.about(r, now), func(p pin) bool { return now.Sub(p.at) < pinned })
}

func (s *pins) add(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.of) >= maxPins { // an eighth at a time: a feed adds many
		byAge := slices.SortedFunc(maps.Keys(s.of), func(a, b string) int { return s.of[a].at.Compare(s.of[b].at) })
		for _, n := range byAge[:maxPins/8] {
			delete(s.of, n)
		}
	}
	s.of[name] = &pin{at: now, wait: firstTrial}
	s.some.Store(true)
}

// about are copies of the pins that concern a route.
func (s *pins) about(r kind.Route, now time.Time) (found []pin) {
	if !s.some.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(r, now, func(_ string, p *pin) { found = append(found, *p) })
	return found
}

// each calls do for the pins that concern a route. s.mu is held.
func (s *pins) each(r kind.Route, now time.Time, do func(name string, p *pin)) {
	for _, name := range []string{r.Group, r.Key} {
		p, ok := s.of[name]
		if ok && now.Sub(p.at) >= longestPin {
			delete(s.of, name)
		} else if ok {
			do(name, p)
		}
	}
}

// stance says how to go about a read. Only one whose stored document is the one
// that the primary gave can try another master: there is something to compare
// with.
func (s *pins) stance(a *Ask, now time.Time) stance {
	found := s.about(a.Route, now)
	if len(found) == 0 {
		return free
	}
	if a.Route.Class != kind.Metadata {
		if slices.ContainsFunc(found, func(p pin) bool { return now.Sub(p.at) < pinned }) {
			return first
		}
		return free
	}
	was := s.sum(a.Memo)
	s.mu.Lock()
	defer s.mu.Unlock()
	is := free
	s.each(a.Route, now, func(_ string, p *pin) {
		switch {
		case p.key != a.Route.Key || was == 0 || was != p.memo:
			is = first
		case now.Before(p.trial):
			is = max(is, compared)
		default:
			is = max(is, tried)
			p.trial = now.Add(p.wait)
			p.wait *= 2
		}
	})
	return is
}

// arrange puts the masters that are expected to answer a read in the order of its
// stance.
func (s stance) arrange(usable []*master) {
	i := slices.IndexFunc(usable, func(m *master) bool { return m.primary })
	if s == free || i < 0 {
		return
	}
	m := usable[i]
	copy(usable[1:], usable[:i])
	usable[0] = m
	if s == tried && len(usable) > 1 {
		usable[0], usable[1] = usable[1], m
	}
}

// witness is a read of metadata, and what its answers tell of a write.
type witness struct {
	*pins
	ask   *Ask
	begun time.Time
}

// vouches takes note of a master's 304. That says something where the stored
// document is named by a strong or weak validator, and not by a date.
func (w witness) vouches(m *master, h http.Header) error {
	return w.says(m, h, false, func() uint64 {
		if w.ask.ETag == "" && !m.primary {
			return 0
		}
		return w.sum(w.ask.Memo)
	})
}

// shows takes note of the documents that a master's answer has become; fewer says
// that they lack something that is stored, or that nothing is.
func (w witness) shows(m *master, h http.Header, docs []kind.Document, fewer bool) error {
	return w.says(m, h, fewer, func() uint64 { return w.sumOf(docs) })
}

// says has what may be from before the change kept briefly, by the fields h of the
// answer. The error is that it is from before.
func (w witness) says(m *master, h http.Header, fewer bool, sum func() uint64) error {
	if len(w.about(w.ask.Route, time.Now())) == 0 {
		return nil
	}
	brief, err := w.hear(testimony{m, w.ask.Route, w.begun, w.sum(w.ask.Memo), sum(), fewer})
	if brief {
		h.Del("Expires")
		h.Del("Cdn-Cache-Control")
		h.Set("Cache-Control", briefly)
		h.Set("Age", relayed)
	}
	return err
}

// testimony is what one master's answer to a read tells of a write.
type testimony struct {
	from    *master
	route   kind.Route
	begun   time.Time // when the read began
	was, is uint64    // the memos of what is stored and of what the master has, 0 for not known
	fewer   bool      // what it has lacks something that is stored
}

// hear takes a testimony. brief says that the document may be the one from before
// the change; the error, that it is.
func (s *pins) hear(t testimony) (brief bool, err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(t.route, now, func(name string, p *pin) {
		switch {
		case t.from.primary:
			if t.begun.Before(p.at) {
				return // it may not have been there yet
			}
			if p.key != t.route.Key {
				p.trial = now.Add(firstTrial)
			}
			p.key, p.memo, p.fewer = t.route.Key, t.is, p.fewer || t.fewer
		case p.key != t.route.Key || p.memo == 0:
			brief = true
		case t.is == p.memo:
			delete(s.of, name) // it shows the very same
		case t.is == 0:
			brief = brief || t.was != p.memo
		case p.fewer:
			err = errUnshown
		case t.was == p.memo:
			delete(s.of, name) // and its own has been found no older
		default:
			brief = true
		}
	})
	return brief, err
}

// sum tells memos apart; 0 is for none.
func (s *pins) sum(memo []byte) uint64 {
	if len(memo) == 0 {
		return 0
	}
	return maphash.Bytes(s.seed, memo)
}

// sumOf is the sum of the memo among documents.
func (s *pins) sumOf(docs []kind.Document) uint64 {
	for _, d := range docs {
		if d.Variant == kind.Memo {
			var memo bytes.Buffer
			if _, err := d.Body.WriteTo(&memo); err != nil {
				return 0
			}
			return s.sum(memo.Bytes())
		}
	}
	return 0
}
