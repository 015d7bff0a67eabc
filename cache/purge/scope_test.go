package purge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/cache/fsys"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

func TestManyPurgesTakeFewSyncs(t *testing.T) {
	dir := t.TempDir()
	sys, syncs := fsys.System(), 0
	sync := sys.Sync
	sys.Sync = func(f *os.File) error { syncs++; return sync(f) }
	p, err := Open(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []Purge
	for i := range 1000 {
		all = append(all, Purge{Scope: GroupMetadata, Site: "s", Name: fmt.Sprint("name-", i), Soft: true})
	}
	before := p.Now.Load()
	largest := 0
	write := p.journal.sys.Write
	p.journal.sys.Write = func(f *os.File, b []byte, off int64) (int, error) {
		largest = max(largest, len(b))
		return write(f, b, off)
	}
	if syncs = 0; p.Add(all...) != nil || syncs > 50 || largest > 4096 {
		t.Errorf("%d syncs, the largest write %d bytes", syncs, largest)
	}
	if syncs = 0; p.Add() != nil || syncs != 0 {
		t.Errorf("no purge took %d syncs", syncs)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	again := openedPurges(t, dir)
	for i := range 1000 {
		if m := again.Mark(store.Key{Site: "s", ID: "x", Group: fmt.Sprint("name-", i), Metadata: true}, before); m != policy.MarkedStale {
			t.Fatalf("%d is %v after a restart", i, m)
		}
	}
	if m := again.Mark(store.Key{Site: "s", ID: "x", Group: "other", Metadata: true}, before); m != policy.NotMarked {
		t.Errorf("another is %v", m)
	}
}

func TestAPurgeOfASitesMetadata(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	before := p.Now.Load()
	p.mustAdd(t, Purge{Scope: SiteMetadata, Site: "s", Soft: true})
	check := func(p *Sequence) {
		t.Helper()
		for k, want := range map[store.Key]policy.Mark{
			{Site: "s", ID: "packument/a", Group: "a", Metadata: true}: policy.MarkedStale,
			{Site: "s", ID: "keys", Metadata: true}:                    policy.MarkedStale,
			{Site: "s", ID: "tarball/a", Group: "a"}:                   policy.NotMarked,
			{Site: "t", ID: "packument/a", Group: "a", Metadata: true}: policy.NotMarked,
		} {
			if got := p.Mark(k, before); got != want {
				t.Errorf("%v is %v", k, got)
			}
			if got := p.Mark(k, p.Now.Load()); got != policy.NotMarked {
				t.Errorf("%v is %v when it came later", k, got)
			}
		}
	}
	check(p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	check(openedPurges(t, dir))
}

// The numbers of the scopes are in the journals of earlier edges.
func TestScopesKeepTheirNumbersInTheJournal(t *testing.T) {
	dir := t.TempDir()
	lines := []string{
		`{"seq":10,"scope":1,"site":"one"}`, `{"seq":11,"scope":2,"site":"s","name":"group"}`, `{"seq":12,"scope":3,"site":"s","name":"meta","soft":true}`,
		`{"seq":13,"scope":4,"site":"s","name":"key"}`, `{"seq":14,"scope":5,"site":"five","soft":true}`, `{"seq":15,"scope":99,"site":"s","name":"of a later edge"}`,
	}
	if err := os.WriteFile(filepath.Join(dir, "purges"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := openedPurges(t, dir)
	for k, want := range map[store.Key]policy.Mark{
		{Site: "one", ID: "x"}: policy.MarkedGone, {Site: "s", ID: "x", Group: "group"}: policy.MarkedGone, {Site: "s", ID: "x", Group: "meta", Metadata: true}: policy.MarkedStale,
		{Site: "s", ID: "key"}: policy.MarkedGone, {Site: "five", ID: "x", Metadata: true}: policy.MarkedStale, {Site: "s", ID: "y", Group: "z", Metadata: true}: policy.NotMarked,
	} {
		if got := p.Mark(k, 1); got != want {
			t.Errorf("%v is %v; want %v", k, got, want)
		}
	}
}

func BenchmarkPurgeMark(b *testing.B) {
	p := newPurges(maxMarks)
	k := store.Key{Site: "npm", ID: "packument/@scope/name", Group: "@scope/name", Metadata: true}
	for _, purged := range []bool{false, true} {
		b.Run(map[bool]string{false: "none", true: "after others"}[purged], func(b *testing.B) {
			if purged {
				for range 1000 {
					p.Add(Purge{Scope: Group, Site: "npm", Name: "other"})
				}
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if p.Mark(k, 0) != policy.NotMarked {
						b.Error("marked")
					}
				}
			})
		})
	}
}
