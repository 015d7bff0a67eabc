package disk

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// storeWithSpace is a disk on a file system with the space that the test says.
func storeWithSpace(t *testing.T, left *fsys.Space) *Store {
	t.Helper()
	sys := fsys.System()
	sys.Space = func(string) (fsys.Space, error) { return *left, nil }
	d, err := Open(Config{Sys: sys, Dir: t.TempDir(), Limit: 64 << 20, Notify: func(op string, err error) { t.Logf("%s: %v", op, err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestSpaceIsLeftToOthers(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		rule  string
		space fsys.Space
		want  int64 // how many objects of 9 kB on disk are taken, of 20
	}{
		{"enough of all", fsys.Space{Free: 100 * gib, Total: 1000 * gib, FreeFiles: 1e6, Files: 1e7}, 20},
		{"a hundredth of a large disk stays free", fsys.Space{Free: 10*gib - 1, Total: 1000 * gib, FreeFiles: 1e6, Files: 1e7}, 0},
		{"and 64 MiB of a small one", fsys.Space{Free: 64<<20 - 1, Total: 1 * gib, FreeFiles: 1e6, Files: 1e7}, 0},
		{"but no more than a tenth", fsys.Space{Free: 64<<20 - 1, Total: 100 << 20, FreeFiles: 1e6, Files: 1e7}, 20},
		{"a hundredth of the inodes stays free", fsys.Space{Free: 100 * gib, Total: 1000 * gib, FreeFiles: 1e5 - 1, Files: 1e7}, 0},
		{"and 1,024 of a few", fsys.Space{Free: 100 * gib, Total: 1000 * gib, FreeFiles: 1023, Files: 1e5}, 0},
		{"room for some", fsys.Space{Free: 64<<20 + 40_000, Total: gib, FreeFiles: 1e6, Files: 1e7}, 4},
		{"inodes for some", fsys.Space{Free: 100 * gib, Total: 1000 * gib, FreeFiles: 1027, Files: 1e5}, 3},
		{"files are not counted", fsys.Space{Free: 100 * gib, Total: 1000 * gib}, 20},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := storeWithSpace(t, &tt.space)
			for i := range 20 {
				k, b := store.Key{Site: "s", ID: fmt.Sprint(i)}, storetest.Payload(i, 6000)
				m := storetest.Meta(k, uint64(i+1), b)
				w, err := d.Create(k, m, int64(len(b)))
				if errors.Is(err, store.ErrNoSpace) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				w.Write(b)
				if err := w.Commit(m); err != nil {
					t.Fatal(err)
				}
				w.Abort()
			}
			if have := d.Index.Count.Load(); have != tt.want {
				t.Errorf("%d objects are stored, want %d", have, tt.want)
			}
		})
	}
}

// A disk that others fill does not empty the cache: it stays as large as it is,
// and takes in the new for the old.
func TestSpaceOfAFullDiskIsKept(t *testing.T) {
	left := fsys.Space{Free: 1 << 40, Total: 1 << 41, FreeFiles: 1e6, Files: 1e7}
	d := storeWithSpace(t, &left)
	for i := range 40 {
		if i == 20 {
			left.Free = 0
			d.measured.Store(nil)
		}
		k, b := store.Key{Site: "s", ID: fmt.Sprint(i)}, storetest.Payload(i, 6000)
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		storetest.Expect(t, d, k, uint64(i+1), b)
	}
	if have := d.Index.Count.Load(); have != 20 {
		t.Errorf("%d objects are stored, want the 20 there were", have)
	}
}

func TestSpaceIsMeasuredNowAndThen(t *testing.T) {
	sys := fsys.System()
	var asked atomic.Int64
	sys.Space = func(string) (fsys.Space, error) {
		asked.Add(1)
		return fsys.Space{}, errors.New("cannot tell")
	}
	d, err := Open(Config{Sys: sys, Dir: t.TempDir(), Limit: 64 << 20, Notify: func(string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 100 {
		d.growthLimit()
	}
	if n := asked.Load(); n > 2 {
		t.Errorf("asked %d times at once", n)
	}
	before := asked.Load()
	d.promised.Add(measureBytes)
	if d.growthLimit(); asked.Load() != before+1 {
		t.Error("not asked after much was promised")
	}
	l := *d.measured.Load()
	l.at = l.at.Add(-2 * time.Second)
	d.measured.Store(&l)
	if d.growthLimit(); asked.Load() != before+2 {
		t.Error("not asked after a while")
	}
	if l := d.growthLimit(); l.bytes != math.MaxInt64 || l.files != math.MaxInt64 {
		t.Errorf("without figures the mark is at %d bytes and %d files", l.bytes, l.files)
	}
}

func TestDiskKeepsItsLimit(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	d := openedDisk(t, dir, limit)
	for i := range 100 {
		k := store.Key{Site: "s", ID: fmt.Sprint(i)}
		b := storetest.Payload(i, 30_000+i*100)
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		storetest.Expect(t, d, k, uint64(i+1), b) // the newest is not evicted
		used, count := storetest.Files(t, dir)
		if used > limit || used != d.Index.Used.Load() || int64(count) != d.Index.Count.Load() {
			t.Fatalf("%d bytes in %d files, index says %d in %d, limit %d", used, count, d.Index.Used.Load(), d.Index.Count.Load(), limit)
		}
	}
	if d.reserved.Load() != 0 || d.evictions.Load() == 0 {
		t.Errorf("%d bytes reserved, %d evictions", d.reserved.Load(), d.evictions.Load())
	}
}

// A file counts as space until it is gone, by any removal.
func TestDiskCountsWhatItIsAboutToRemove(t *testing.T) {
	k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 10_000)
	for name, lose := range map[string]func(d *Store){
		"evicted":     func(d *Store) { d.evictTo(0, 10) },
		"removed":     func(d *Store) { d.Remove(k, 1) },
		"quarantined": func(d *Store) { d.quarantine.Limit = 0; storetest.Flip(t, d.Path(k.Sum()), -1); d.Get(k) },
	} {
		t.Run(name, func(t *testing.T) {
			d := openedDisk(t, t.TempDir(), 8<<20)
			storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
			removed := 0
			d.sys.Remove = func(path string) error {
				if there, _ := storetest.Files(t, d.dir); d.Used() < there {
					t.Errorf("%d bytes, and %d are counted", there, d.Used())
				}
				removed++
				return os.Remove(path)
			}
			d.quarantine.Sys.Remove = d.sys.Remove
			if lose(d); removed != 1 || d.Used() != 0 {
				t.Errorf("%d removed, %d bytes counted", removed, d.Used())
			}
		})
	}
}

func TestDiskKeepsItsLimitWhileManyWrite(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	d := openedDisk(t, dir, limit)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 20 {
				k := store.Key{Site: "s", ID: fmt.Sprint(worker, i)}
				b := storetest.Payload(i, 100_000)
				m := storetest.Meta(k, uint64(i+1), b)
				w, err := d.Create(k, m, -1+int64(i%2)*100_001)
				if err != nil {
					continue
				}
				if _, err := w.Write(b); err == nil {
					w.Commit(m)
				}
				if have := d.Index.Used.Load(); have > limit {
					t.Errorf("%d bytes, limit %d", have, limit)
				}
				w.Abort()
			}
		})
	}
	wg.Wait()
	if used, _ := storetest.Files(t, dir); used > limit || used == 0 || d.reserved.Load() != 0 {
		t.Errorf("%d bytes, limit %d, reserved %d", used, limit, d.reserved.Load())
	}
}

func TestDiskRefusesWhatCannotFit(t *testing.T) {
	const limit = 1 << 20
	d := openedDisk(t, t.TempDir(), limit)
	small, big := store.Key{ID: "small"}, store.Key{ID: "big"}
	b := storetest.Payload(1, 100)
	storetest.Write(t, d, small, storetest.Meta(small, 1, b), b)
	if _, err := d.Create(big, storetest.Meta(big, 2, nil), limit); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("larger than the limit: %v, want errNoRoom", err)
	}
	// Two writers that fit one by one, and not together.
	one, err := d.Create(big, storetest.Meta(big, 2, nil), limit/2)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Abort()
	storetest.Expect(t, d, small, 1, b)
	if _, err := d.Create(store.Key{ID: "other"}, storetest.Meta(big, 3, nil), limit/2); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("beyond what is promised to writers: %v, want errNoRoom", err)
	}
	storetest.Expect(t, d, small, 1, b) // nothing was evicted in vain
	// A body that turns out too large is refused while it is written.
	w, err := d.Create(store.Key{ID: "grows"}, storetest.Meta(big, 4, nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for range limit / 4096 {
		if _, err = w.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("a body that grows beyond the limit: %v, want errNoRoom", err)
	}
}
