package origin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
)

// way is the order in which a read asks the masters.
func (p *pool) way(a Ask) string {
	order, usable := p.order(&a)
	p.pins.stance(&a, time.Now()).arrange(order[:usable])
	return letters(order, usable)
}

// Whoever wrote reads its own write, until another master has it too.
func TestWrittenIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		s := &Site{pool: p, files: p}
		p.random = func(n int) int { return n - 1 } // c before b, and both before a
		one := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		file := kind.Route{Class: kind.File, Group: "one", Key: "tarball/one/one-1.0.0.tgz"}
		tags := kind.Route{Class: kind.Metadata, Key: "dist-tags/one"}
		other := kind.Route{Class: kind.Metadata, Group: "other", Key: "packument/other"}
		if got := p.way(Ask{Route: one}); got != "cab" {
			t.Fatalf("order %q before the write; want cab", got)
		}
		s.Wrote([]kind.Mark{{Scope: kind.GroupMetadata, Name: "one"}, {Scope: kind.OneKey, Name: "dist-tags/one"}})
		for _, tt := range []struct {
			route kind.Route
			order string
		}{{one, "acb"}, {file, "acb"}, {tags, "acb"}, {other, "cab"}} {
			if got := p.way(Ask{Route: tt.route}); got != tt.order || s.Written(tt.route) != (tt.order == "acb") {
				t.Errorf("%s: order %q; want %q", tt.route.Key, got, tt.order)
			}
		}
		for range inARow {
			p.failed(p.primary(), unanswered)
		}
		if got := p.way(Ask{Route: one}); got != "cb|a" {
			t.Errorf("order %q while the primary is out; want cb|a", got)
		}
		<-time.After(pinned)
		if got := p.way(Ask{Route: file}); got[:1] == "a" || s.Written(one) {
			t.Errorf("order %q of a file after a minute", got)
		}
		if got := p.way(Ask{Route: one}); got != "acb" {
			t.Errorf("order %q of metadata after a minute; want acb", got)
		}
		<-time.After(longestPin)
		if got := p.way(Ask{Route: one}); got != "cab" || len(p.pins.of) != 1 {
			t.Errorf("order %q after an hour, and %d pins are left", got, len(p.pins.of))
		}
	})
}

// What was read from the primary is tried elsewhere, ten times at most.
func TestTrialsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		s := &Site{pool: p, files: p}
		route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		read := Ask{Route: route, Memo: []byte("as the primary has it")}
		s.Wrote([]kind.Mark{{Name: "one"}})
		<-time.After(time.Second)
		if _, err := p.pins.hear(testimony{p.primary(), route, time.Now(), 0, p.pins.sum(read.Memo), false}); err != nil {
			t.Fatal(err)
		}
		trials := 0
		for began := time.Now(); time.Since(began) < longestPin-time.Minute; <-time.After(time.Second) {
			switch got := p.way(read); got {
			case "bac":
				trials++
			case "abc":
				if way := p.pins.stance(&read, time.Now()); way != compared {
					t.Fatalf("stance %d; want %d", way, compared)
				}
			default:
				t.Fatalf("order %q", got)
			}
			other := Ask{Route: route, Memo: []byte("another")}
			if got, way := p.way(other), p.pins.stance(&other, time.Now()); got != "abc" || way != first {
				t.Fatalf("order %q, stance %d with nothing to compare", got, way)
			}
		}
		if trials < 5 || trials > 10 {
			t.Errorf("%d trials in an hour; want some, and at most ten", trials)
		}
	})
}

func TestPinsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPins()
		for i := range maxPins + 10 {
			p.add(fmt.Sprint(i), time.Now())
			<-time.After(time.Millisecond)
		}
		has := func(i int) bool { return len(p.about(kind.Route{Group: fmt.Sprint(i)}, time.Now())) > 0 }
		if len(p.of) > maxPins || !has(maxPins+9) || has(0) {
			t.Errorf("%d pins, or not those of the newest", len(p.of))
		}
	})
}

// A testimony is worth what can be concluded from it.
func TestTestimonies(t *testing.T) {
	route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
	for _, tt := range []struct {
		name    string
		said    []testimony // the last is judged; a nil master is the primary
		replica bool
		brief   bool
		err     error
		pinned  bool // after it
	}{
		{"the primary has it", []testimony{{is: 7}}, false, false, nil, true},
		{"a replica before the primary was heard", []testimony{{was: 1, is: 2}}, true, true, nil, true},
		{"a replica that vouches before the primary was heard", []testimony{{was: 1, is: 1}}, true, true, nil, true},
		{"a replica that has the same", []testimony{{is: 7}, {is: 7}}, true, false, nil, false},
		{"a replica whose own is no older", []testimony{{is: 7}, {was: 7, is: 8}}, true, false, nil, false},
		{"a replica that was compared with something else", []testimony{{is: 7}, {was: 1, is: 8}}, true, true, nil, true},
		{"a replica that only vouches for a date", []testimony{{is: 7}, {was: 7}}, true, false, nil, true},
		{"a replica that only vouches for the date of something else", []testimony{{is: 7}, {was: 1}}, true, true, nil, true},
		{"a replica that has more than was left", []testimony{{is: 7, fewer: true}, {was: 7, is: 8}}, true, false, errUnshown, true},
		{"a replica that has what was left", []testimony{{is: 7, fewer: true}, {was: 7, is: 7}}, true, false, nil, false},
		{"a replica, after the primary was read without a memo", []testimony{{}, {was: 1, is: 1}}, true, true, nil, true},
		{"the primary, asked before the write", []testimony{{is: 7, begun: time.Unix(1, 0)}, {was: 7, is: 7}}, true, true, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := poolOf("pr", nil)
			s := &Site{pool: p, files: p}
			s.Wrote([]kind.Mark{{Name: "one"}})
			var brief bool
			var err error
			for i, said := range tt.said {
				said.route, said.from = route, p.primary()
				if tt.replica && i == len(tt.said)-1 {
					said.from = p.called("b")
				}
				if said.begun.IsZero() {
					said.begun = time.Now()
				}
				brief, err = p.pins.hear(said)
			}
			if brief != tt.brief || !errors.Is(err, tt.err) || err != nil && !errors.Is(err, kind.ErrOlder) {
				t.Errorf("brief %v, err %v; want %v, %v", brief, err, tt.brief, tt.err)
			}
			if left := len(p.pins.about(route, time.Now())) > 0; left != tt.pinned {
				t.Errorf("pinned: %v; want %v", left, tt.pinned)
			}
		})
	}
}

// behindLagging is a site whose replica, the one that would be asked first, is
// behind by a write that the site knows of.
func behindLagging(t *testing.T, write func(s *sample.Store) error) (*behind, *two, []byte) {
	t.Helper()
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	b.pool.near = 0
	b.pool.primary().latency.add(time.Now().Add(time.Hour), time.Hour) // so that the replica is the better one
	before := b.memo(t)
	if n := w.a.Count(sample.Any); n != 0 {
		t.Fatalf("the primary was asked %d times before the write", n)
	}
	w.b.Lag()
	if err := write(w.store); err != nil {
		t.Fatal(err)
	}
	b.Wrote([]kind.Mark{{Scope: kind.GroupMetadata, Name: "edge-sample-words"}})
	w.a.Forget()
	w.b.Forget()
	return b, w, before
}

func publish(s *sample.Store) error {
	return s.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"})
}

// due makes the next read a trial.
func (b *behind) due() {
	b.pool.pins.mu.Lock()
	defer b.pool.pins.mu.Unlock()
	for _, p := range b.pool.pins.of {
		p.trial = time.Now()
	}
}

// The writer reads from the primary until the replica has caught up, which costs
// one request too many each time that it is tried too soon.
func TestWriteIsReadFromThePrimaryUntilAReplicaShowsIt(t *testing.T) {
	b, w, before := behindLagging(t, publish)
	r, err := b.again(t, before)
	if err != nil || versionsOf(t, r) != 5 {
		t.Fatalf("%v; reports %q", err, b.reported())
	}
	after := r.part(t, kind.Memo, "")
	asked := func(what string, ask Ask, versions, primary, replica int) {
		t.Helper()
		w.a.Forget()
		w.b.Forget()
		ask.Route = b.route(aPackument)
		r, err := b.ask(t, ask)
		if err != nil || versions > 0 && versionsOf(t, r) != versions {
			t.Errorf("%s: %v; reports %q", what, err, b.reported())
		}
		if a, b := w.a.Count(sample.Any), w.b.Count(sample.Any); a != primary || b != replica {
			t.Errorf("%s: the primary was asked %d times, the replica %d; want %d and %d", what, a, b, primary, replica)
		}
	}
	asked("at once", Ask{Memo: after}, 5, 1, 0)
	b.pool.retries.saved, b.pool.retries.perSecond = 0, 0 // a trial has a bound of its own
	b.due()
	asked("a trial of a replica that lags", Ask{Memo: after}, 5, 1, 1)
	asked("after that", Ask{Memo: after}, 5, 1, 0)
	w.b.CatchUp()
	asked("when it has caught up, and was not tried", Ask{Memo: after}, 5, 1, 0)
	b.due()
	asked("a trial with nothing to compare", Ask{}, 5, 1, 0)
	asked("a trial", Ask{Memo: after}, 5, 0, 1)
	asked("and from then on", Ask{}, 5, 0, 1)
}

// A replica that lags still has what was taken away, and looks newer.
func TestRemovedVersionDoesNotComeBack(t *testing.T) {
	b, w, before := behindLagging(t, func(*sample.Store) error { return nil })
	w.a.Break(sample.Path(aPackument), sample.Replace([]byte(threeVersions)))
	r, err := b.again(t, before)
	if err != nil || versionsOf(t, r) != 3 {
		t.Fatalf("%v; reports %q", err, b.reported())
	}
	after := r.part(t, kind.Memo, "")
	b.due()
	if r, err = b.again(t, after); err != nil || versionsOf(t, r) != 3 {
		t.Errorf("a trial: %v; reports %q", err, b.reported())
	}
	if !slices.Contains(b.reported(), "B older") {
		t.Errorf("reports %q; want B older", b.reported())
	}
	w.b.Break(sample.Path(aPackument), sample.Replace([]byte(threeVersions)))
	b.due()
	w.a.Forget()
	if r, err = b.again(t, after); err != nil || versionsOf(t, r) != 3 || w.a.Count(sample.Any) != 0 {
		t.Errorf("when it has gone there too: %v, the primary was asked %d times", err, w.a.Count(sample.Any))
	}
}

// What a feed says has changed is not given a new life by a replica that lags,
// while the primary cannot be asked.
func TestLaggingReplicaGivesNoLongLife(t *testing.T) {
	b, w, before := behindLagging(t, publish)
	w.a.Break(sample.Any, sample.Status(503))
	r, err := b.ask(t, Ask{Route: b.route(aPackument), Memo: before})
	if err != nil || versionsOf(t, r) != 4 || r.header.Get("Cache-Control") != briefly {
		t.Errorf("%v, Cache-Control: %s", err, r.header.Get("Cache-Control"))
	}
	tag := r.header.Get("Etag")
	if r, err = b.ask(t, Ask{Route: b.route(aPackument), Memo: before, ETag: tag}); err != nil || r.status != http.StatusNotModified || r.header.Get("Cache-Control") != briefly {
		t.Errorf("%d %v, Cache-Control: %s", r.status, err, r.header.Get("Cache-Control"))
	}
	w.a.Mend()
	if r, err = b.ask(t, Ask{Route: b.route(aPackument), Memo: before, ETag: tag}); err != nil || versionsOf(t, r) != 5 || r.header.Get("Cache-Control") == briefly {
		t.Errorf("%d %v, Cache-Control: %s", r.status, err, r.header.Get("Cache-Control"))
	}
	// The primary's own 304 is as good as a document.
	w.b.CatchUp()
	after, tag := r.part(t, kind.Memo, ""), r.header.Get("Etag")
	b.Wrote([]kind.Mark{{Scope: kind.GroupMetadata, Name: "edge-sample-words"}})
	for _, status := range []int{http.StatusNotModified, http.StatusOK} { // of the primary, and of the replica, whose tags are its own
		if r, err = b.ask(t, Ask{Route: b.route(aPackument), Memo: after, ETag: tag}); err != nil || r.status != status {
			t.Errorf("%d %v; want %d", r.status, err, status)
		}
		b.due()
	}
	if len(b.pool.pins.of) != 0 {
		t.Errorf("still pinned; reports %q", b.reported())
	}
}
