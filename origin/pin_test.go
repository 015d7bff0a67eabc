package origin

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
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
		s.Wrote([]kind.Invalidation{{Scope: kind.GroupMetadata, Name: "one"}, {Scope: kind.OneKey, Name: "dist-tags/one"}})
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
		s.Wrote([]kind.Invalidation{{Name: "one"}})
		<-time.After(time.Second)
		p.pins.shown(route, time.Now(), time.Now(), p.pins.sum(read.Memo), false)
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

// What another master answers is worth what can be concluded from it.
func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		primary, stored, answer uint64
		fewer                   bool
		want                    verdict
	}{
		{"before the primary was heard, another", 0, 1, 2, false, brief},
		{"before the primary was heard, the one stored", 0, 1, 1, false, brief},
		{"before the primary was heard, a date", 0, 1, 0, false, brief},
		{"the same", 7, 1, 7, false, keep},
		{"the same as is stored", 7, 7, 7, false, keep},
		{"no older than the same", 7, 7, 8, false, keep},
		{"no older than another one", 7, 1, 8, false, brief},
		{"one from before is stored, and confirmed", 7, 1, 1, false, brief},
		{"the date of the same", 7, 7, 0, false, keep},
		{"the date of another one", 7, 1, 0, false, brief},
		{"nothing is stored", 7, 0, 8, false, brief},
		{"more than was left", 7, 7, 8, true, reject},
		{"more than was left, with nothing stored", 7, 0, 8, true, reject},
		{"what was left", 7, 7, 7, true, keep},
		{"the date of what was left", 7, 7, 0, true, keep},
	} {
		if got := compare(tt.primary, tt.stored, tt.answer, tt.fewer); got != tt.want {
			t.Errorf("%s: %d; want %d", tt.name, got, tt.want)
		}
	}
}

// A write is pinned until another master has shown it, which a date does not; and
// what the primary said before the write, or of another document, is not compared
// with.
func TestAPinEndsWhenAnotherMasterShowsTheWrite(t *testing.T) {
	route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
	beside := kind.Route{Class: kind.Metadata, Group: "one", Key: "attestations/one"}
	for _, tt := range []struct {
		name           string
		shown          kind.Route // by the primary
		before         time.Duration
		stored, answer uint64
		want           verdict
		pinned         bool
	}{
		{"it has the same", route, 0, 0, 7, keep, false},
		{"its own is no older", route, 0, 7, 8, keep, false},
		{"it cannot be compared", route, 0, 1, 8, brief, true},
		{"it only has the date", route, 0, 7, 0, keep, true},
		{"the primary was asked before the write", route, time.Minute, 7, 7, brief, true},
		{"the primary gave another document of the package", beside, 0, 7, 7, brief, true},
	} {
		p := newPins()
		now := time.Now()
		p.add("one", now)
		p.shown(tt.shown, now.Add(-tt.before), now, 7, false)
		if got := p.judge(route, now, tt.stored, tt.answer); got != tt.want {
			t.Errorf("%s: %d; want %d", tt.name, got, tt.want)
		}
		if left := len(p.about(route, now)) > 0; left != tt.pinned {
			t.Errorf("%s: pinned: %v", tt.name, left)
		}
	}
}

// A 304 names the stored document: the primary's always, another master's where it
// confirms more than a date.
func TestWhatA304Shows(t *testing.T) {
	route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
	for _, tt := range []struct {
		etag   string
		pinned bool
	}{{"", true}, {`"1"`, false}} {
		p := poolOf("pr", nil)
		p.pins.add("one", time.Now())
		a := Ask{Route: route, Memo: []byte("stored"), LastModified: "Sun, 22 Nov 2026 15:00:00 GMT", ETag: tt.etag}
		for _, m := range []string{"a", "b"} {
			h := http.Header{}
			if err := p.pins.answered(&a, time.Now(), p.called(m), h, nil, false); err != nil || len(h) != 0 {
				t.Errorf("ETag %s, master %s: %v, %v", tt.etag, m, h, err)
			}
		}
		if got := len(p.pins.of) > 0; got != tt.pinned {
			t.Errorf("ETag %s: pinned: %v", tt.etag, got)
		}
	}
}

// Of what a feed announces only the primary's word is taken for long. A reply of
// another master is marked, and says no less of its age than it did.
func TestOnlyThePrimarysWordLivesLong(t *testing.T) {
	p := poolOf("pr", nil)
	for _, tt := range []struct {
		master    string
		followed  bool
		age, want string
	}{
		{"a", true, "", ""}, {"b", false, "", ""}, {"b", true, "", "1"}, {"b", true, "0", "1"}, {"b", true, "x", "1"},
		{"b", true, "7", "7"}, {"b", true, "7, 9", "7, 9"}, {"a", true, "7", "7"},
	} {
		h := http.Header{}
		if tt.age != "" {
			h.Set("Age", tt.age)
		}
		a := Ask{Route: kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}, Followed: tt.followed}
		if err := p.pins.answered(&a, time.Now(), p.called(tt.master), h, nil, false); err != nil || h.Get("Age") != tt.want {
			t.Errorf("%+v: Age %q, %v", tt, h.Get("Age"), err)
		}
	}
}

// What a feed announces is read from the primary while that is well and nobody
// waits for it; no other master is tried meanwhile, for its word is worth less.
func TestWhatIsFollowedIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		p.random = func(n int) int { return n - 1 }
		route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		read := Ask{Route: route, Followed: true, Memo: []byte("as the primary has it")}
		if got := p.way(read); got != "acb" {
			t.Errorf("order %q; want acb", got)
		}
		p.pins.add("one", time.Now())
		p.pins.shown(route, time.Now(), time.Now(), p.pins.sum(read.Memo), false)
		<-time.After(longestPin / 2)
		if way := p.pins.stance(&read, time.Now()); way != compared {
			t.Errorf("stance %d of what was written; want %d", way, compared)
		}
		<-time.After(longestPin)
		p.primary().rooms[forMetadata].queue = []*waiter{{}}
		if got := p.way(read); got[:1] == "a" {
			t.Errorf("order %q while others wait for the primary", got)
		}
		p.primary().rooms[forMetadata].queue = nil
		for range inARow {
			p.failed(p.primary(), unanswered)
		}
		if got := p.way(read); got != "cb|a" {
			t.Errorf("order %q while the primary is out; want cb|a", got)
		}
	})
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
	if n := w.a.Count(faults.Any); n != 0 {
		t.Fatalf("the primary was asked %d times before the write", n)
	}
	w.b.Lag()
	if err := write(w.store); err != nil {
		t.Fatal(err)
	}
	b.Wrote([]kind.Invalidation{{Scope: kind.GroupMetadata, Name: "edge-sample-words"}})
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
	after := r.part(t, kind.Summary, "")
	asked := func(what string, ask Ask, versions, primary, replica int) {
		t.Helper()
		w.a.Forget()
		w.b.Forget()
		ask.Route = b.route(aPackument)
		r, err := b.ask(t, ask)
		if err != nil || versions > 0 && versionsOf(t, r) != versions {
			t.Errorf("%s: %v; reports %q", what, err, b.reported())
		}
		if a, b := w.a.Count(faults.Any), w.b.Count(faults.Any); a != primary || b != replica {
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
	w.a.Break(faults.Path(aPackument), faults.Replace([]byte(threeVersions)))
	r, err := b.again(t, before)
	if err != nil || versionsOf(t, r) != 3 {
		t.Fatalf("%v; reports %q", err, b.reported())
	}
	after := r.part(t, kind.Summary, "")
	b.due()
	if r, err = b.again(t, after); err != nil || versionsOf(t, r) != 3 {
		t.Errorf("a trial: %v; reports %q", err, b.reported())
	}
	if !slices.Contains(b.reported(), "B older") {
		t.Errorf("reports %q; want B older", b.reported())
	}
	w.b.Break(faults.Path(aPackument), faults.Replace([]byte(threeVersions)))
	b.due()
	w.a.Forget()
	if r, err = b.again(t, after); err != nil || versionsOf(t, r) != 3 || w.a.Count(faults.Any) != 0 {
		t.Errorf("when it has gone there too: %v, the primary was asked %d times", err, w.a.Count(faults.Any))
	}
}

// What a feed says has changed is not given a new life by a replica that lags,
// while the primary cannot be asked.
func TestLaggingReplicaGivesNoLongLife(t *testing.T) {
	b, w, before := behindLagging(t, publish)
	w.a.Break(faults.Any, faults.Status(503))
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
	after, tag := r.part(t, kind.Summary, ""), r.header.Get("Etag")
	b.Wrote([]kind.Invalidation{{Scope: kind.GroupMetadata, Name: "edge-sample-words"}})
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
