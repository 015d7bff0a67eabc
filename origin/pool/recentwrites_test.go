package pool

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// way is the order in which a read asks the masters.
func (p *Pool) way(a Request) string {
	order, usable := p.order(&a)
	p.Writes().preference(&a, time.Now()).arrange(order[:usable])
	return letters(order, usable)
}

// A client reads its own write, until another master has it too.
func TestWrittenIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		p.cfg.Random = func(n int) int { return n - 1 } // c before b, and both before a
		one := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		file := kind.Route{Class: kind.File, Group: "one", Key: "tarball/one/one-1.0.0.tgz"}
		tags := kind.Route{Class: kind.Metadata, Key: "dist-tags/one"}
		other := kind.Route{Class: kind.Metadata, Group: "other", Key: "packument/other"}
		if got := p.way(Request{Route: one}); got != "cab" {
			t.Fatalf("order %q before the write; want cab", got)
		}
		p.Writes().Add("one", time.Now())
		p.Writes().Add("dist-tags/one", time.Now())
		for _, tt := range []struct {
			route kind.Route
			order string
		}{{one, "acb"}, {file, "acb"}, {tags, "acb"}, {other, "cab"}} {
			if got := p.way(Request{Route: tt.route}); got != tt.order || p.Writes().Concerns(tt.route, time.Now()) != (tt.order == "acb") {
				t.Errorf("%s: order %q; want %q", tt.route.Key, got, tt.order)
			}
		}
		for range inARow {
			p.Failed(p.Primary(), unanswered)
		}
		if got := p.way(Request{Route: one}); got != "cb|a" {
			t.Errorf("order %q while the primary is out; want cb|a", got)
		}
		<-time.After(strictFor)
		if got := p.way(Request{Route: file}); got[:1] == "a" || p.Writes().Concerns(one, time.Now()) {
			t.Errorf("order %q of a file after a minute", got)
		}
		if got := p.way(Request{Route: one}); got != "acb" {
			t.Errorf("order %q of metadata after a minute; want acb", got)
		}
		<-time.After(longestWrite)
		if got := p.way(Request{Route: one}); got != "cab" || p.Writes().of.Len() != 1 {
			t.Errorf("order %q after an hour, and %d writes are left", got, p.Writes().of.Len())
		}
	})
}

// A document that was read from the primary is tried elsewhere, ten times at most.
func TestTrialsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		read := Request{Route: route, Summary: []byte("as the primary has it")}
		p.Writes().Add("one", time.Now())
		<-time.After(time.Second)
		p.Writes().recordPrimary(&Request{Route: route}, time.Now(), time.Now(), p.Writes().sum(read.Summary), false)
		trials := 0
		for began := time.Now(); time.Since(began) < longestWrite-time.Minute; <-time.After(time.Second) {
			switch got := p.way(read); got {
			case "bac":
				trials++
			case "abc":
				if way := p.Writes().preference(&read, time.Now()); way != primaryCompared {
					t.Fatalf("stance %d; want %d", way, primaryCompared)
				}
			default:
				t.Fatalf("order %q", got)
			}
			other := Request{Route: route, Summary: []byte("another")}
			if got, way := p.way(other), p.Writes().preference(&other, time.Now()); got != "abc" || way != primaryAlone {
				t.Fatalf("order %q, stance %d with nothing to compare", got, way)
			}
		}
		if trials < 5 || trials > 10 {
			t.Errorf("%d trials in an hour; want some, and at most ten", trials)
		}
	})
}

func TestRecentWritesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewRecentWrites()
		for i := range maxWrites + 10 {
			p.Add(fmt.Sprint(i), time.Now())
			<-time.After(time.Millisecond)
		}
		has := func(i int) bool { return len(p.about(kind.Route{Group: fmt.Sprint(i)}, time.Now())) > 0 }
		if p.of.Len() > maxWrites || !has(maxWrites+9) || has(0) {
			t.Errorf("%d writes, or not those of the newest", p.of.Len())
		}
	})
}

// The answer of another master is used as far as it can be compared.
func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		primary, stored, answer uint64
		fewer                   bool
		want                    judgement
	}{
		{"before the primary was heard, another", 0, 1, 2, false, uncertain},
		{"before the primary was heard, the one stored", 0, 1, 1, false, uncertain},
		{"before the primary was heard, a date", 0, 1, 0, false, uncertain},
		{"the same", 7, 1, 7, false, current},
		{"the same as is stored", 7, 7, 7, false, current},
		{"no older than the same", 7, 7, 8, false, current},
		{"no older than another one", 7, 1, 8, false, uncertain},
		{"one from before is stored, and confirmed", 7, 1, 1, false, uncertain},
		{"the date of the same", 7, 7, 0, false, current},
		{"the date of another one", 7, 1, 0, false, uncertain},
		{"nothing is stored", 7, 0, 8, false, uncertain},
		{"more than was left", 7, 7, 8, true, outdated},
		{"more than was left, with nothing stored", 7, 0, 8, true, outdated},
		{"what was left", 7, 7, 7, true, current},
		{"the date of what was left", 7, 7, 0, true, current},
	} {
		if got := compare(tt.primary, tt.stored, tt.answer, tt.fewer); got != tt.want {
			t.Errorf("%s: %d; want %d", tt.name, got, tt.want)
		}
	}
}

// A write is pinned until another master has shown it, which a date does not; and
// an answer of the primary from before the write, or for another document, is not
// compared with.
func TestAPinEndsWhenAnotherMasterShowsTheWrite(t *testing.T) {
	route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
	beside := kind.Route{Class: kind.Metadata, Group: "one", Key: "attestations/one"}
	for _, tt := range []struct {
		name           string
		shown          kind.Route // by the primary
		before         time.Duration
		stored, answer uint64
		want           judgement
		pinned         bool
	}{
		{"it has the same", route, 0, 0, 7, current, false},
		{"its own is no older", route, 0, 7, 8, current, false},
		{"it cannot be compared", route, 0, 1, 8, uncertain, true},
		{"it only has the date", route, 0, 7, 0, current, true},
		{"the primary was asked before the write", route, time.Minute, 7, 7, uncertain, true},
		{"the primary gave another document of the package", beside, 0, 7, 7, uncertain, true},
	} {
		p := NewRecentWrites()
		now := time.Now()
		p.Add("one", now)
		p.recordPrimary(&Request{Route: tt.shown}, now.Add(-tt.before), now, 7, false)
		if got := p.judge(&Request{Route: route}, now, tt.stored, tt.answer); got != tt.want {
			t.Errorf("%s: %d; want %d", tt.name, got, tt.want)
		}
		if left := len(p.about(route, now)) > 0; left != tt.pinned {
			t.Errorf("%s: pinned: %v", tt.name, left)
		}
	}
}

// A primary's answer that was compared with nothing may lack something, so that another one is not
// taken. After a purge it may be older itself, and the primary may be gone: the other master
// is an answer, for a moment. A document that is known to lack something stays the only one.
func TestAfterAPurgeAReplicaIsAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		summary []byte // of the stored document, when the primary answers
		purged  time.Duration
		refused bool
	}{
		{"no purge since", nil, -time.Second, true},
		{"a purge since", nil, time.Second, false},
		{"a purge since, and the primary has removed something", []byte("stored"), time.Second, true},
	} {
		p := poolOf("pr", nil)
		begun := time.Now()
		p.Writes().Add("one", begun.Add(-time.Minute))
		a := Request{Route: kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}, Summary: tt.summary}
		docs := func(summary string) []kind.Document {
			return []kind.Document{{Variant: kind.Summary, Body: bytes.NewBufferString(summary)}}
		}
		if err := p.Writes().Answered(&a, begun, p.named("a"), http.Header{}, docs("of the primary"), true); err != nil {
			t.Fatal(err)
		}
		a.Summary = nil
		a.Purged = func() time.Time { return begun.Add(tt.purged) }
		h := http.Header{}
		err := p.Writes().Answered(&a, time.Now(), p.named("b"), h, docs("of a replica"), true)
		if (err != nil) != tt.refused || !tt.refused && h.Get("Age") != relayed {
			t.Errorf("%s: %v, %v", tt.name, err, h)
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
		p.Writes().Add("one", time.Now())
		a := Request{Route: route, Summary: []byte("stored"), LastModified: "Sun, 22 Nov 2026 15:00:00 GMT", ETag: tt.etag}
		for _, m := range []string{"a", "b"} {
			h := http.Header{}
			if err := p.Writes().Answered(&a, time.Now(), p.named(m), h, nil, false); err != nil || len(h) != 0 {
				t.Errorf("ETag %s, master %s: %v, %v", tt.etag, m, h, err)
			}
		}
		if got := p.Writes().of.Len() > 0; got != tt.pinned {
			t.Errorf("ETag %s: pinned: %v", tt.etag, got)
		}
	}
}

// Of a document that a feed announces only the primary's answer lives long. A reply of
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
		a := Request{Route: kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}, Followed: tt.followed}
		if err := p.Writes().Answered(&a, time.Now(), p.named(tt.master), h, nil, false); err != nil || h.Get("Age") != tt.want {
			t.Errorf("%+v: Age %q, %v", tt, h.Get("Age"), err)
		}
	}
}

// A document that a feed announces is read from the primary while that is well and no
// request waits for it; no other master is tried meanwhile, for its word is worth less.
func TestWhatIsFollowedIsReadFromThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("prr", nil)
		p.cfg.Random = func(n int) int { return n - 1 }
		route := kind.Route{Class: kind.Metadata, Group: "one", Key: "packument/one"}
		read := Request{Route: route, Followed: true, Summary: []byte("as the primary has it")}
		if got := p.way(read); got != "acb" {
			t.Errorf("order %q; want acb", got)
		}
		p.Writes().Add("one", time.Now())
		p.Writes().recordPrimary(&Request{Route: route}, time.Now(), time.Now(), p.Writes().sum(read.Summary), false)
		<-time.After(longestWrite / 2)
		if way := p.Writes().preference(&read, time.Now()); way != primaryCompared {
			t.Errorf("stance %d of what was written; want %d", way, primaryCompared)
		}
		<-time.After(longestWrite)
		p.occupy(t, p.Primary(), health.ForMetadata, firstWidth)
		stop := p.wait(t, p.Primary(), health.ForMetadata)
		if got := p.way(read); got[:1] == "a" {
			t.Errorf("order %q while others wait for the primary", got)
		}
		stop()
		for range inARow {
			p.Failed(p.Primary(), unanswered)
		}
		if got := p.way(read); got != "cb|a" {
			t.Errorf("order %q while the primary is out; want cb|a", got)
		}
	})
}
