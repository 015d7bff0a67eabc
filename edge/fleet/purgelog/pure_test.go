package purgelog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/edgetest"
)

func TestSubjects(t *testing.T) {
	entry := func(scope purge.Scope, site, name string, soft bool) Entry {
		return Entry{Purge: purge.Purge{Scope: scope, Site: site, Name: name, Soft: soft}}
	}
	change := entry(purge.GroupMetadata, "npm", "a", true)
	change.Change = true
	seen := make(map[string]bool)
	for _, e := range []Entry{
		entry(purge.All, "", "", false), entry(purge.All, "", "", true), entry(purge.Site, "npm", "", false), entry(purge.Group, "npm", "a", false),
		entry(purge.Group, "npm", "a", true), entry(purge.GroupMetadata, "npm", "a", true), change, entry(purge.Key, "npm", "a", true), entry(purge.Group, "n.pm", "a", false),
		entry(purge.Group, "npm", "a b.>*", false),
	} {
		s := e.subject()
		if seen[s] {
			t.Errorf("%+v has the subject of another one: %s", e, s)
		}
		seen[s] = true
		if parts := strings.Split(s, "."); len(parts) != 4 || strings.ContainsAny(s, " *>") || parts[2] != map[bool]string{true: "soft", false: "hard"}[e.Soft] {
			t.Error(s)
		}
		if s != e.subject() {
			t.Errorf("%s is another one the second time", s)
		}
	}
}

// A message that cannot be read may be about anything.
func TestDecode(t *testing.T) {
	for text, want := range map[string]Entry{
		`{"process":"p","edge":"a","scope":2,"site":"npm","name":"x"}`:                                   {Purge: purge.Purge{Scope: purge.Group, Site: "npm", Name: "x"}},
		`{"process":"p","edge":"a","scope":3,"site":"npm","name":"x","soft":true,"change":true,"new":1}`: {Purge: purge.Purge{Scope: purge.GroupMetadata, Site: "npm", Name: "x", Soft: true}, Change: true},
		`{"process":"p","scope":99}`: {Purge: purge.Purge{Scope: purge.All, Soft: true}},
		`{"scope":2}`:                {Purge: purge.Purge{Scope: purge.All, Soft: true}},
		`{"process":"p","scope":-1}`: {Purge: purge.Purge{Scope: purge.All, Soft: true}},
		"\x00":                       {Purge: purge.Purge{Scope: purge.All, Soft: true}},
	} {
		if m, _ := decode([]byte(text)); m.Entry != want {
			t.Errorf("%s is %+v", text, m)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		place place
		log   string
		last  uint64
		want  judgement
	}{
		{place{}, "a", 0, another},
		{place{Log: "a", Seq: 7}, "a", 7, goesOn},
		{place{Log: "a", Seq: 7}, "a", 900, goesOn},
		{place{Log: "a", Seq: 7}, "a", 6, wentBack},
		{place{Log: "a", Seq: 7}, "b", 900, another},
	} {
		if got := tt.place.judge(tt.log, tt.last); got != tt.want {
			t.Errorf("%+v in %s up to %d: %d", tt.place, tt.log, tt.last, got)
		}
	}
}

// A message is known that was read before the log went back, and one that has taken the place of
// another is not.
func TestKnows(t *testing.T) {
	now := time.Now()
	p := place{Before: earlier{Seq: 7, Stamp: now}}
	for _, tt := range []struct {
		seq  uint64
		ago  time.Duration
		want bool
	}{{7, time.Hour, true}, {8, time.Hour, false}, {7, skew / 2, false}, {7, -time.Hour, false}} {
		if got := p.knows(tt.seq, now.Add(-tt.ago)); got != tt.want {
			t.Errorf("%d of %s ago: %t", tt.seq, tt.ago, got)
		}
	}
	if (place{}).knows(1, now) {
		t.Error("a log that has not gone back has known messages")
	}
}

func TestNeedless(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		scope  purge.Scope
		change bool
		ago    time.Duration
		want   bool
	}{
		{purge.All, false, wideKept + 1, true}, {purge.Site, false, wideKept + 1, true}, {purge.All, false, wideKept, false},
		{purge.Group, false, 1000 * wideKept, false}, {purge.Key, false, 1000 * wideKept, false}, {purge.GroupMetadata, true, 0, true},
	} {
		i := item{Entry: Entry{Purge: purge.Purge{Scope: tt.scope}, Change: tt.change}, At: now.Add(-tt.ago)}
		if got := i.needless(now); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}

// A damaged place is none.
func TestADamagedPlace(t *testing.T) {
	dir := t.TempDir()
	edgetest.WriteFile(t, filepath.Join(dir, placeFile), "{")
	if p, err := loadPlace(dir); err == nil || p != (place{}) {
		t.Errorf("%+v, %v", p, err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	is := place{"a", 7, now, now.Add(-1), earlier{9, now.Add(-2)}}
	if err := is.save(dir); err != nil {
		t.Fatal(err)
	}
	if p, err := loadPlace(dir); err != nil || p != is {
		t.Errorf("%+v, %v", p, err)
	}
}

func newOutbox(t *testing.T, dir string) *outbox {
	t.Helper()
	n := 0
	o, err := openOutbox(dir, func() string { n++; return fmt.Sprint(dir, n) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.close() })
	return o
}

// The outbox is the same after a restart, also one with half a line at its end.
func TestTheOutboxOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	o := newOutbox(t, dir)
	items, err := o.add([]Entry{hard("a"), hard("b"), hard("c")})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.acknowledge("log", map[*item]uint64{items[1]: 7}); err != nil {
		t.Fatal(err)
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, outboxFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":"x","ent`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	o = newOutbox(t, dir)
	if o.len() != 2 || o.next(9)[0].Entry.Name != "a" || o.next(9)[1].ID != items[2].ID {
		t.Errorf("%d wait", o.len())
	}
	if kept := o.acknowledged(); len(kept) != 1 || kept[0].Seq != 7 || kept[0].Log != "log" || kept[0].Entry.Name != "b" || time.Since(kept[0].At) > time.Hour {
		t.Errorf("%+v", kept)
	}
}

// An item of any length outlives a restart, and so do those behind it.
func TestALongItemOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	o := newOutbox(t, dir)
	if _, err := o.add([]Entry{hard(strings.Repeat("&", 16<<10)), hard("b")}); err != nil {
		t.Fatal(err)
	}
	if o := newOutbox(t, dir); o.len() != 2 || o.next(2)[1].Entry.Name != "b" {
		t.Errorf("%d wait", o.len())
	}
}

// An entry that the log cannot have is about its whole site.
func TestBounded(t *testing.T) {
	entry := func(name string) Entry {
		return Entry{Purge: purge.Purge{Scope: purge.Key, Site: "npm", Name: name, Soft: true}, Change: true}
	}
	site := Entry{Purge: purge.Purge{Scope: purge.Site, Site: "npm", Soft: true}, Change: true}
	for name, want := range map[string]Entry{
		"left-pad": entry("left-pad"), "é": entry("é"), "\xff": site,
		strings.Repeat("x", 16<<10): entry(strings.Repeat("x", 16<<10)), strings.Repeat("&", 16<<10): site,
	} {
		if got := entry(name).bounded(); got != want {
			t.Errorf("%.9q: %.99v", name, got)
		}
	}
}

func TestTheOutboxIsBounded(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, t.TempDir())
	many := make([]Entry, maxWaiting)
	for i := range many {
		many[i] = hard(fmt.Sprint(i))
		many[i].Soft = true
		o.waiting = append(o.waiting, &item{Entry: many[i]}) // they are in no file, which would take seconds
	}
	items, err := o.add([]Entry{hard("x")})
	if err != nil || len(items) != 1 || o.len() != 1 {
		t.Fatalf("%d items, %d wait, %v", len(items), o.len(), err)
	}
	if e := o.next(1)[0].Entry; e.Scope != purge.All || e.Soft {
		t.Errorf("%+v", e)
	}
	const together = 512
	for i := range (2*maxKept + rewriteAfter) / together * 2 {
		items, err := o.add(many[:together])
		if err != nil {
			t.Fatal(err)
		}
		done := make(map[*item]uint64)
		for n, is := range items {
			done[is] = uint64(1 + i*together + n)
		}
		if err := o.acknowledge("log", done); err != nil {
			t.Fatal(err)
		}
	}
	if kept := o.acknowledged(); len(kept) != maxKept {
		t.Errorf("%d are kept", len(kept))
	}
	if o.lines > 3*maxKept+rewriteAfter {
		t.Errorf("the file has %d lines", o.lines)
	}
}
