package cache

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// roomy is a disk on a file system with the space that the test says.
func roomy(t *testing.T, left *space) *disk {
	t.Helper()
	sys := realSystem()
	sys.space = func(string) (space, error) { return *left, nil }
	d, err := openDisk(sys, t.TempDir(), 64<<20, func(op string, err error) { t.Logf("%s: %v", op, err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return d
}

func TestRoomIsLeftToOthers(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		rule  string
		space space
		want  int64 // how many objects of 9 kB on disk are taken, of 20
	}{
		{"enough of all", space{free: 100 * gib, total: 1000 * gib, freeFiles: 1e6, files: 1e7}, 20},
		{"a hundredth of a large disk stays free", space{free: 10*gib - 1, total: 1000 * gib, freeFiles: 1e6, files: 1e7}, 0},
		{"and 64 MiB of a small one", space{free: 64<<20 - 1, total: 1 * gib, freeFiles: 1e6, files: 1e7}, 0},
		{"but no more than a tenth", space{free: 64<<20 - 1, total: 100 << 20, freeFiles: 1e6, files: 1e7}, 20},
		{"a hundredth of the inodes stays free", space{free: 100 * gib, total: 1000 * gib, freeFiles: 1e5 - 1, files: 1e7}, 0},
		{"and 1,024 of a few", space{free: 100 * gib, total: 1000 * gib, freeFiles: 1023, files: 1e5}, 0},
		{"room for some", space{free: 64<<20 + 40_000, total: gib, freeFiles: 1e6, files: 1e7}, 4},
		{"inodes for some", space{free: 100 * gib, total: 1000 * gib, freeFiles: 1027, files: 1e5}, 3},
		{"files are not counted", space{free: 100 * gib, total: 1000 * gib}, 20},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := roomy(t, &tt.space)
			for i := range 20 {
				k, b := Key{Site: "s", ID: fmt.Sprint(i)}, payload(i, 6000)
				m := metaFor(k, uint64(i+1), b)
				w, err := d.Create(k, m, int64(len(b)))
				if errors.Is(err, errNoRoom) {
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
			if have := d.index.count.Load(); have != tt.want {
				t.Errorf("%d objects are stored, want %d", have, tt.want)
			}
		})
	}
}

// A disk that others fill does not empty the cache: it stays as large as it is,
// and takes in the new for the old.
func TestRoomOfAFullDiskIsKept(t *testing.T) {
	left := space{free: 1 << 40, total: 1 << 41, freeFiles: 1e6, files: 1e7}
	d := roomy(t, &left)
	for i := range 40 {
		if i == 20 {
			left.free = 0
			d.measured.Store(nil)
		}
		k, b := Key{Site: "s", ID: fmt.Sprint(i)}, payload(i, 6000)
		write(t, d, k, metaFor(k, uint64(i+1), b), b)
		expectStored(t, d, k, uint64(i+1), b)
	}
	if have := d.index.count.Load(); have != 20 {
		t.Errorf("%d objects are stored, want the 20 there were", have)
	}
}

func TestRoomIsMeasuredNowAndThen(t *testing.T) {
	sys := realSystem()
	var asked atomic.Int64
	sys.space = func(string) (space, error) {
		asked.Add(1)
		return space{}, errors.New("cannot tell")
	}
	d, err := openDisk(sys, t.TempDir(), 64<<20, func(string, error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for range 100 {
		d.levels()
	}
	if n := asked.Load(); n > 2 {
		t.Errorf("asked %d times at once", n)
	}
	before := asked.Load()
	d.promised.Add(measureBytes)
	if d.levels(); asked.Load() != before+1 {
		t.Error("not asked after much was promised")
	}
	l := *d.measured.Load()
	l.at = l.at.Add(-2 * time.Second)
	d.measured.Store(&l)
	if d.levels(); asked.Load() != before+2 {
		t.Error("not asked after a while")
	}
	if l := d.levels(); l.bytes != d.limit {
		t.Errorf("without figures the limit is %d, want the configured %d", l.bytes, d.limit)
	}
}
