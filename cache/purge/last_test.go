package purge

import (
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/store"
)

// The newest purge of any scope that covers a key counts, and it is no earlier than it was.
func TestLastPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPurges(maxMarks)
		file := store.Key{Site: "s", ID: "tarball/a", Group: "a"}
		document := store.Key{Site: "s", ID: "packument/a", Group: "a", Metadata: true}
		other := store.Key{Site: "s", ID: "packument/b", Group: "b", Metadata: true}
		if got := p.Last(file); !got.IsZero() {
			t.Errorf("no purge was at %v", got)
		}
		for _, tt := range []struct {
			purge Purge
			want  map[store.Key]bool // those of which the last purge is this one
		}{
			{Purge{Scope: Key, Site: "s", Name: "tarball/a"}, map[store.Key]bool{file: true}},
			{Purge{Scope: GroupMetadata, Site: "s", Name: "a", Soft: true}, map[store.Key]bool{document: true}},
			{Purge{Scope: Group, Site: "s", Name: "a"}, map[store.Key]bool{file: true, document: true}},
			{Purge{Scope: SiteMetadata, Site: "s", Soft: true}, map[store.Key]bool{document: true, other: true}},
			{Purge{Scope: All}, map[store.Key]bool{file: true, document: true, other: true}},
		} {
			time.Sleep(time.Second)
			if err := p.Add(tt.purge); err != nil {
				t.Fatal(err)
			}
			for _, k := range []store.Key{file, document, other} {
				if got := p.Last(k).Equal(time.Now()); got != tt.want[k] {
					t.Errorf("%+v: the last purge of %s was at %v; now is %v", tt.purge, k.ID, p.Last(k), time.Now())
				}
			}
		}
	})
}

// A purge keeps its time over a restart.
func TestLastPurgeOfAnEarlierProcess(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	k := store.Key{Site: "s", ID: "a"}
	before := time.Now()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
	want := p.Last(k)
	if want.Before(before) || want.After(time.Now()) {
		t.Errorf("the purge was at %v; want between %v and now", want, before)
	}
	p.Close()
	if got := openedPurges(t, dir).Last(k); !got.Equal(want) {
		t.Errorf("after a restart it was at %v; want %v", got, want)
	}
}
