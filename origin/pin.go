package origin

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
func (s *Site) Wrote(marks []kind.Invalidation) {
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
		case a.Followed || now.Before(p.trial): // of the former the primary's word is worth more
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
	toFront(usable, i)
	if s == tried && len(usable) > 1 {
		usable[0], usable[1] = usable[1], usable[0]
	}
}

// verdict is what becomes of an answer to a read of what was written.
type verdict uint8

const (
	keep   verdict = iota // it has the write, or is no older than what has
	brief                 // it may be from before: fresh for ten seconds
	reject                // it is from before
)

// compare judges what a master other than the primary answers after a write, by
// the sums of the memos (0 for not known) of what the primary has given since,
// of what is stored, and of the answer. The answer has been found no older than
// what is stored (docs/decisions/0006). fewer says that the primary's lacks
// something that was there before, so that an older one looks newer.
func compare(primary, stored, answer uint64, fewer bool) verdict {
	switch {
	case primary == 0:
		return brief
	case answer == primary:
		return keep
	case answer == 0: // a date was confirmed, of whatever is stored
		if stored == primary {
			return keep
		}
		return brief
	case fewer:
		return reject
	case stored == primary:
		return keep
	}
	return brief
}

// answered takes note of a master's answer to a read of metadata, and changes its
// fields h where they promise too much. docs is what its document has become, nil
// for a 304. fewer says that they lack something that is stored, or that nothing
// is. The error is that the answer is from before a write.
func (s *pins) answered(a *Ask, begun time.Time, m *master, h http.Header, docs []kind.Document, fewer bool) error {
	if a.Followed && !m.primary {
		ofAnother(h)
	}
	now := time.Now()
	if len(s.about(a.Route, now)) == 0 {
		return nil
	}
	stored := s.sum(a.Memo)
	answer := s.sumOf(docs)
	if docs == nil && (m.primary || a.ETag != "") { // a date does not name one document
		answer = stored
	}
	if m.primary {
		s.shown(a.Route, begun, now, answer, fewer)
		return nil
	}
	switch s.judge(a.Route, now, stored, answer) {
	case brief:
		h.Set("Cache-Control", cacheControl(h, briefly))
		h.Del("Expires")
		h.Del("Cdn-Cache-Control")
		h.Set("Age", relayed)
	case reject:
		return errUnshown
	}
	return nil
}

// ofAnother marks an answer that is not the primary's like one out of a cache, so
// that it has its usual lifetime and not that of what a feed announces: a replica
// may lag by a change that was announced before.
func ofAnother(h http.Header) {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	if n, err := strconv.Atoi(strings.TrimSpace(first)); err != nil || n < 1 {
		h.Set("Age", relayed)
	}
}

// shown notes what the primary gave to a read that began then.
func (s *pins) shown(r kind.Route, begun, now time.Time, memo uint64, fewer bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(r, now, func(_ string, p *pin) {
		if begun.Before(p.at) {
			return // it may not have been there yet
		}
		if p.key != r.Key {
			p.trial = now.Add(firstTrial)
		}
		p.key, p.memo, p.fewer = r.Key, memo, p.fewer || fewer
	})
}

// judge compares an answer with all writes that concern it; the worst counts. A
// write that another master has shown is over.
func (s *pins) judge(r kind.Route, now time.Time, stored, answer uint64) (worst verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(r, now, func(name string, p *pin) {
		primary := p.memo
		if p.key != r.Key {
			primary = 0 // what it gave was another document
		}
		v := compare(primary, stored, answer, p.fewer)
		if v == keep && answer != 0 {
			delete(s.of, name)
		}
		worst = max(worst, v)
	})
	return worst
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
		if d.Variant == kind.Summary {
			var memo bytes.Buffer
			if _, err := d.Body.WriteTo(&memo); err != nil {
				return 0
			}
			return s.sum(memo.Bytes())
		}
	}
	return 0
}
