package purge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pkgedge/cache/fsys"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// written is a write, and how many purges were acknowledged before it.
type written struct {
	bytes        []byte
	off          int64
	acknowledged int
}

// A power cut leaves any of the unsynced blocks, and not the others. Acknowledged purges
// are in force, and no line counts as damaged: one purge may
// reach into a second block, many into several, and a long one over a whole one.
func TestPowerCutDuringAPurge(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "purges")
	sys := fsystest.Quick()
	var writes []written
	acknowledged := 0
	sys.Write = func(f *os.File, p []byte, off int64) (int, error) {
		if f.Name() == path {
			writes = append(writes, written{append([]byte(nil), p...), off, acknowledged})
		}
		return f.WriteAt(p, off)
	}
	p, err := Open(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	epoch := p.Now.Load()
	var batches [][]Purge
	name := func(s string) Purge { return Purge{Scope: Key, Site: "s", Name: s} }
	for i := range 50 {
		batches = append(batches, []Purge{name(fmt.Sprint("one-", i))})
	}
	var many []Purge
	for i := range 90 {
		many = append(many, name(fmt.Sprint("many-", i)))
	}
	batches = append(batches, many, []Purge{name("long-" + strings.Repeat("x", 3*block))}, []Purge{name("last")})
	for _, all := range batches {
		if err := p.Add(all...); err != nil {
			t.Fatal(err)
		}
		acknowledged++
	}
	p.Close()
	var image []byte // the bytes on disk before a write
	apply := func(image []byte, w written, lost map[int64]bool) []byte {
		size := max(int64(len(image)), w.off+int64(len(w.bytes)))
		after := append(append([]byte(nil), image...), make([]byte, size-int64(len(image)))...)
		for i, b := range w.bytes {
			if at := w.off + int64(i); !lost[at/block] {
				after[at] = b
			}
		}
		return after
	}
	crashed, spans := t.TempDir(), 0
	for _, w := range writes {
		first, last := w.off/block, (w.off+int64(len(w.bytes))-1)/block
		spans = max(spans, int(last-first+1))
		for lost := first; lost <= last; lost++ {
			after := apply(image, w, map[int64]bool{lost: true})
			if err := os.WriteFile(filepath.Join(crashed, "purges"), after, 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := Open(fsystest.Quick(), crashed)
			if err != nil {
				t.Fatal(err)
			}
			for _, all := range batches[:w.acknowledged] {
				for _, u := range all {
					if p.Mark(store.Key{Site: "s", ID: u.Name}, epoch) != policy.MarkedGone {
						t.Fatalf("cut at %d of %d bytes: %.20s is forgotten", w.off, len(w.bytes), u.Name)
					}
				}
			}
			if w.acknowledged > 0 && p.Mark(store.Key{Site: "other", ID: "x"}, epoch) != policy.NotMarked {
				t.Fatalf("cut at %d of %d bytes: taken for damage", w.off, len(w.bytes))
			}
			p.Close()
		}
		image = apply(image, w, nil)
	}
	if spans != 1 || len(writes) < len(batches)+5 {
		t.Errorf("a write reaches over %d blocks; %d writes", spans, len(writes))
	}
}

// A batch that fails in its middle leaves nothing, and later purges stay.
func TestPurgesThatFailHalfWay(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	epoch, real, n := p.Now.Load(), p.journal.sys.Write, 0
	p.journal.sys.Write = func(f *os.File, b []byte, off int64) (int, error) {
		if n++; n == 3 {
			n, _ := real(f, b[:len(b)/2], off)
			return n, syscall.EIO
		}
		return real(f, b, off)
	}
	var many []Purge
	for i := range 300 {
		many = append(many, Purge{Scope: Key, Site: "s", Name: fmt.Sprint("many-", i)})
	}
	if err := p.Add(many...); err == nil {
		t.Error("acknowledged")
	}
	p.journal.sys.Write = real
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "after"})
	p.Close()
	p = openedPurges(t, dir)
	for id, want := range map[string]policy.Mark{"many-0": policy.NotMarked, "many-299": policy.NotMarked, "after": policy.MarkedGone} {
		if have := p.Mark(store.Key{Site: "s", ID: id}, epoch); have != want {
			t.Errorf("%s is %d, want %d", id, have, want)
		}
	}
}

// After a rewrite whose new name may not be durable, no purge is acknowledged until
// it is: a power cut would bring the old file back, which has no line of it.
func TestPurgeWaitsForTheNameOfARewrittenJournal(t *testing.T) {
	dir := t.TempDir()
	sys, broken, made := fsys.System(), false, false
	sys.Rename = func(from, to string) error {
		broken = true
		return os.Rename(from, to)
	}
	sys.Sync = func(f *os.File) error {
		if f.Name() == dir {
			if broken {
				return syscall.EIO
			}
			made = true
		}
		return nil
	}
	p, err := Open(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !made {
		t.Error("the name of a new journal is not made durable")
	}
	defer p.Close()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "before"})
	p.journal.compactSoon(&p.adding, p.limit)
	p.journal.wg.Wait()
	for range 2 {
		if err := p.Add(Purge{Scope: Key, Site: "s", Name: "a"}); err == nil {
			t.Error("acknowledged, and a power cut would forget it")
		}
	}
	broken, made = false, false
	if p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "b"}); !made {
		t.Error("acknowledged, and the name is not durable")
	}
	made = false
	if p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "c"}); made {
		t.Error("the name is made durable each time")
	}
}
