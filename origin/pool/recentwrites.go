package pool

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/recent"
	"pkgedge/origin/transport"
)

// RecentWrites are the writes of late to one site. Until another master has shown
// the change, reads of it go to the primary. They are safe for concurrent use.
type RecentWrites struct {
	Some atomic.Bool // false while there never was one; only to be read
	seed maphash.Seed
	mu   sync.Mutex
	of   *recent.Map[string, *write] // by the name of a group or a key
}

// write is one write, and the answers seen since.
type write struct {
	at      time.Time     // of the write
	unknown bool          // its outcome is: it may take effect after the primary has answered a read
	key     string        // of the document that the primary has given since, "" for none so far
	summary uint64        // of that document, see sum; 0 where it has none
	fewer   bool          // it lacks something that was there before: a master that still has it looks newer
	alone   time.Time     // of the read that had nothing stored to compare it with: it may be one with fewer; zero for none
	trial   time.Time     // when another master may be tried
	wait    time.Duration // from then to the next trial
}

const (
	// strictFor is how long after a write files of it are asked of the primary
	// first, and clients wait for an answer rather than have a stale one.
	strictFor = time.Minute
	// longestWrite is how long after a write its metadata is read from the primary
	// at most: a master that shows nothing by then never will.
	longestWrite = time.Hour
	// firstTrial is how long after the primary has shown a change another master
	// is tried. The time doubles with each trial, so that there are ten at most.
	firstTrial = 5 * time.Second
	maxWrites  = 4096
	// A document of which it is not known whether it has the change is fresh for
	// ten seconds, and is marked like a document out of another cache.
	briefly, relayed = "public, max-age=11", "1"
)

// readPreference is the order of masters that a write asks of a read. Of two
// preferences the later one holds.
type readPreference uint8

const (
	anyMaster       readPreference = iota
	tryReplica                     // ask another master first, to see whether it has the change
	primaryCompared                // ask the primary first; the answer of another master can be compared
	primaryAlone                   // ask the primary first, and no other master before it has failed
)

// errUnshown is a document that still has something which a write took away.
var errUnshown = &health.Blame{Word: "older", Err: fmt.Errorf("%w: the primary has removed something since", kind.ErrOlder)}

// NewRecentWrites returns writes that nothing was added to.
func NewRecentWrites() *RecentWrites {
	return &RecentWrites{seed: maphash.MakeSeed(), of: recent.New[string, *write](maxWrites, longestWrite)}
}

// Concerns says that the object of a route was changed a moment ago: no older answer
// will do while the primary can give one.
func (s *RecentWrites) Concerns(r kind.Route, now time.Time) bool {
	return slices.ContainsFunc(s.about(r, now), func(w write) bool { return now.Sub(w.at) < strictFor })
}

// Remembers says that the object of a route was changed, and that reads of it go to the primary
// where that can be asked.
func (s *RecentWrites) Remembers(r kind.Route, now time.Time) bool { return len(s.about(r, now)) > 0 }

// Add says that something of that name, a group or a key, has changed at the
// primary. Reads of it ask the primary before any other master, until another
// master shows the change too: for an hour at most, and files for a minute. Other
// masters are tried in passing, by ten reads at most. An answer that one of them
// gives before the primary has answered is kept for ten seconds.
func (s *RecentWrites) Add(name string, now time.Time) {
	s.put(name, &write{at: now, wait: firstTrial})
}

// AddUnknown says that something of that name may have changed, or may change yet: a
// write was sent, and no answer tells how it ended. For a minute even the primary's
// answers are kept for ten seconds.
func (s *RecentWrites) AddUnknown(name string, now time.Time) {
	s.put(name, &write{at: now, wait: firstTrial, unknown: true})
}

func (s *RecentWrites) put(name string, w *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of.Put(name, w, w.at)
	s.Some.Store(true)
}

// about are copies of the writes that concern a route.
func (s *RecentWrites) about(r kind.Route, now time.Time) (found []write) {
	if !s.Some.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(r, now, func(_ string, p *write) { found = append(found, *p) })
	return found
}

// each calls do for the writes that concern a route. s.mu is held.
func (s *RecentWrites) each(r kind.Route, now time.Time, do func(name string, p *write)) {
	for _, name := range []string{r.Group, r.Key} {
		if p, _, ok := s.of.Get(name, now); ok {
			do(name, p)
		}
	}
}

// preference says how to go about a read. Only one whose stored document is the one
// that the primary gave can try another master: there is something to compare
// with.
func (s *RecentWrites) preference(r *Request, now time.Time) readPreference {
	found := s.about(r.Route, now)
	if len(found) == 0 {
		return anyMaster
	}
	if r.Route.Class != kind.Metadata {
		if slices.ContainsFunc(found, func(p write) bool { return now.Sub(p.at) < strictFor }) {
			return primaryAlone
		}
		return anyMaster
	}
	was := s.sum(r.Summary)
	s.mu.Lock()
	defer s.mu.Unlock()
	is := anyMaster
	s.each(r.Route, now, func(_ string, p *write) {
		switch {
		case p.key != r.Route.Key || was == 0 || was != p.summary:
			is = primaryAlone
		case r.Followed || now.Before(p.trial): // of the former the primary's word is worth more
			is = max(is, primaryCompared)
		default:
			is = max(is, tryReplica)
			p.trial = now.Add(p.wait)
			p.wait *= 2
		}
	})
	return is
}

// arrange puts the masters that are expected to answer a read in the order of its
// preference.
func (pref readPreference) arrange(usable []*health.Master) {
	i := slices.IndexFunc(usable, func(m *health.Master) bool { return m.Primary })
	if pref == anyMaster || i < 0 {
		return
	}
	toFront(usable, i)
	if pref == tryReplica && len(usable) > 1 {
		usable[0], usable[1] = usable[1], usable[0]
	}
}

// judgement is the use of an answer to a read of something written.
type judgement uint8

const (
	current   judgement = iota // it has the write, or is no older than a document that has
	uncertain                  // it may be from before: fresh for ten seconds
	outdated                   // it is from before
)

// compare judges an answer that a master other than the primary gives after a write.
// It compares the sums of three summaries (0 for not known): of the document that the
// primary has given since, of the stored one, and of the answer. The answer is known
// to be no older than the stored one (docs/decisions/0006). fewer says that the
// primary's lacks something that was there before, so that an older one looks newer.
func compare(primary, stored, answer uint64, fewer bool) judgement {
	switch {
	case primary == 0:
		return uncertain
	case answer == primary:
		return current
	case answer == 0: // a date was confirmed, of the stored document
		if stored == primary {
			return current
		}
		return uncertain
	case fewer:
		return outdated
	case stored == primary:
		return current
	}
	return uncertain
}

// Answered records a master's answer to a read of metadata, and shortens the lifetime
// in its fields h where it may be from before a write. docs are the documents made of
// it, nil for a 304. fewer says that they lack something that is stored, or that
// nothing is stored. The error is that the answer is from before a write.
func (s *RecentWrites) Answered(a *Request, begun time.Time, m *health.Master, h http.Header, docs []kind.Document, fewer bool) error {
	if a.Followed && !m.Primary {
		ofAnother(h)
	}
	now := time.Now()
	found := s.about(a.Route, now)
	if len(found) == 0 {
		return nil
	}
	stored := s.sum(a.Summary)
	answer := s.sumOf(docs)
	if docs == nil && (m.Primary || a.ETag != "") { // a date does not name one document
		answer = stored
	}
	if m.Primary {
		s.recordPrimary(a, begun, now, answer, fewer)
		if slices.ContainsFunc(found, func(w write) bool { return w.unknown && now.Sub(w.at) < strictFor }) {
			keepBriefly(h)
		}
		return nil
	}
	switch s.judge(a, now, stored, answer) {
	case uncertain:
		keepBriefly(h)
	case outdated:
		return errUnshown
	}
	return nil
}

// keepBriefly shortens the lifetime of an answer.
func keepBriefly(h http.Header) {
	h.Set("Cache-Control", transport.CacheControl(h, briefly))
	h.Del("Expires")
	h.Del("Cdn-Cache-Control")
	h.Set("Age", relayed)
}

// ofAnother marks an answer of another master than the primary like one out of a
// cache. Then it has its usual lifetime, and not the long one of a document whose
// changes a feed announces: a replica may lag by a change that was announced before.
func ofAnother(h http.Header) {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	if n, err := strconv.Atoi(strings.TrimSpace(first)); err != nil || n < 1 {
		h.Set("Age", relayed)
	}
}

// recordPrimary notes the answer of the primary to a read that began at a time.
func (s *RecentWrites) recordPrimary(a *Request, begun, now time.Time, summary uint64, fewer bool) {
	r, compared := a.Route, len(a.Summary) > 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(r, now, func(_ string, p *write) {
		if begun.Before(p.at) {
			return // it may not have been there yet
		}
		if p.key != r.Key {
			p.trial = now.Add(firstTrial)
		}
		p.key, p.summary, p.fewer = r.Key, summary, p.fewer || fewer && compared
		if fewer && !compared {
			p.alone = begun
		}
	})
}

// judge compares an answer with all writes that concern it; the worst counts. A
// write that another master has shown is over.
//
// A primary's answer that could not be compared is taken for one with fewer, until a purge: that says that
// there is something new, and the primary may have failed since. An answer of another master is
// better then than none.
func (s *RecentWrites) judge(a *Request, now time.Time, stored, answer uint64) (worst judgement) {
	r, purged := a.Route, time.Time{}
	if a.Purged != nil {
		purged = a.Purged()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(r, now, func(name string, p *write) {
		primary := p.summary
		if p.key != r.Key {
			primary = 0 // its answer was another document
		}
		fewer := p.fewer || !p.alone.IsZero() && !purged.After(p.alone)
		v := compare(primary, stored, answer, fewer)
		if v == current && answer != 0 {
			s.of.Delete(name)
		}
		worst = max(worst, v)
	})
	return worst
}

// sum tells summaries apart; 0 is for none.
func (s *RecentWrites) sum(summary []byte) uint64 {
	if len(summary) == 0 {
		return 0
	}
	return maphash.Bytes(s.seed, summary)
}

// sumOf is the sum of the summary among documents.
func (s *RecentWrites) sumOf(docs []kind.Document) uint64 {
	for _, d := range docs {
		if d.Variant == kind.Summary {
			var summary bytes.Buffer
			if _, err := d.Body.WriteTo(&summary); err != nil {
				return 0
			}
			return s.sum(summary.Bytes())
		}
	}
	return 0
}
