package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// fillMetadata commits n responses of metadata.
func fillMetadata(t *testing.T, d *Store, n, size int) {
	t.Helper()
	for i := range n {
		k, b := store.Key{Site: "s", ID: fmt.Sprint("metadata", i), Metadata: true}, storetest.Payload(i, size)
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
	}
}

// A body that cannot be stored in the end evicts nothing.
func TestNothingIsEvictedInVain(t *testing.T) {
	k := store.Key{Site: "s", ID: "large"}
	for _, tt := range []struct {
		rule string
		set  func(d *Store, left *fsys.Space)
		ask  func(d *Store) error
		want int64 // files left of 40
	}{
		{"at the mark, for more than there is", func(_ *Store, left *fsys.Space) { left.Free = 0 }, func(d *Store) error {
			_, err := d.Create(k, storetest.Meta(k, 99, nil), 8<<20)
			return err
		}, 40},
		{"at the mark, for a body that grows beyond half of what there is", func(_ *Store, left *fsys.Space) { left.Free = 0 }, func(d *Store) error {
			w, err := d.Create(k, storetest.Meta(k, 99, nil), -1)
			if err != nil {
				return err
			}
			defer w.Abort()
			for range 1000 {
				if _, err = w.Write(make([]byte, 8192)); err != nil {
					return err
				}
			}
			return nil
		}, 16},
		{"while most of the room is an earlier edge's", func(d *Store, _ *fsys.Space) { d.Index.Unseen.Store(d.limit - 1<<20) }, func(d *Store) error {
			_, err := d.Create(k, storetest.Meta(k, 99, nil), 2<<20)
			return err
		}, 40},
		{"while most of the room is promised", func(d *Store, _ *fsys.Space) { d.reserved.Store(d.limit - 1<<20) }, func(d *Store) error {
			defer d.reserved.Store(0)
			_, err := d.Create(k, storetest.Meta(k, 99, nil), 2<<20)
			return err
		}, 40},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			left := fsys.Space{Free: 1 << 40, Total: 1 << 41, FreeFiles: 1e6, Files: 1e7}
			d := storeWithSpace(t, &left)
			fillUp(t, d, "", 20, 90_000)
			fillMetadata(t, d, 20, 90_000)
			tt.set(d, &left)
			d.measured.Store(nil)
			if err := tt.ask(d); !errors.Is(err, store.ErrNoSpace) {
				t.Errorf("got %v, want errNoRoom", err)
			}
			if have := d.Index.Count.Load(); have < tt.want {
				t.Errorf("%d of 40 files are left, want %d", have, tt.want)
			}
		})
	}
}

// Within the limit, a body may displace all there is, though nobody knew its size.
func TestSpaceForABodyThatGrows(t *testing.T) {
	const limit = 8 << 20
	d := openedDisk(t, t.TempDir(), limit)
	fillUp(t, d, "", 100, 90_000)
	k, b := store.Key{Site: "s", ID: "grows"}, storetest.Payload(1, 7<<20)
	m := storetest.Meta(k, 999, b)
	w, err := d.Create(k, m, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for left := b; len(left) > 0; left = left[64<<10:] {
		if _, err := w.Write(left[:64<<10]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(m); err != nil {
		t.Fatal(err)
	}
	storetest.Expect(t, d, k, 999, b)
}

// At the growth limit each reservation evicts its own size: also when the space is measured
// during another one, and when another program takes the freed space.
func TestGrowthLimitEvictsOnce(t *testing.T) {
	left := fsys.Space{Free: 1 << 40, Total: 1 << 41, FreeFiles: 1e6, Files: 1e7}
	d := storeWithSpace(t, &left)
	fillUp(t, d, "", 600, 60_000)
	before := d.Used()
	left.Free = 0
	d.measured.Store(nil)
	k := store.Key{Site: "s", ID: "slow"}
	w, err := d.Create(k, storetest.Meta(k, 999, nil), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range 6 {
		d.measured.Store(nil) // a second later
		fillUp(t, d, fmt.Sprint("new", i), 1, 60_000)
	}
	if gone := before - d.Used(); gone > onDisk(4<<20)+2*onDisk(70_000) {
		t.Errorf("the tier has shrunk by %d bytes for one of %d", gone, 4<<20)
	}
}

// A writer that goes on needs no inode, and takes nobody's.
func TestSpaceWithoutInodes(t *testing.T) {
	left := fsys.Space{Free: 1 << 40, Total: 1 << 41, FreeFiles: 1e6, Files: 1e7}
	d := storeWithSpace(t, &left)
	fillUp(t, d, "", 20, 1000)
	left.FreeFiles = 0
	d.measured.Store(nil)
	k := store.Key{Site: "s", ID: "grows"}
	w, err := d.Create(k, storetest.Meta(k, 99, nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for range 5 {
		d.measured.Store(nil)
		if _, err := w.Write(make([]byte, reserveStep)); err != nil {
			t.Fatal(err)
		}
	}
	if have := d.Index.Count.Load(); have != 19 {
		t.Errorf("%d of 20 files are left, want 19", have)
	}
}

// A look-up that opened a file finds out whether it is still there before it is
// recorded: an eviction may have taken it out of the index, or be about to.
func TestHitDuringAnEviction(t *testing.T) {
	for _, gone := range []bool{true, false} {
		t.Run(fmt.Sprint("gone=", gone), func(t *testing.T) {
			dir := t.TempDir()
			d := openedDisk(t, dir, 64<<20)
			fillUp(t, d, "", 2, 60_000)
			d.kill()
			d = openedDisk(t, dir, 64<<20)
			k, known := store.Key{Site: "s", ID: "0"}, d.Used()
			sum := k.Sum()
			d.scanDirectory(filepath.Base(filepath.Dir(d.Path(sum))), &scanPace{began: time.Now(), left: 1 << 30}, nil)
			there, _ := storetest.Files(t, dir)
			var size int64
			real := d.sys.Stat
			d.sys.Stat = func(f *os.File) (fs.FileInfo, error) {
				d.sys.Stat = real
				info, err := real(f)
				sum, size, _ = d.Index.Evict()
				if gone {
					d.unlink(sum, size)
				}
				return info, err
			}
			if s := d.Get(k); s == nil {
				t.Error("what was open is not served")
			} else {
				s.Release()
			}
			want, count := known-size, int64(0)
			if !gone {
				d.unlink(sum, size)
				want, count = known, 1
			}
			if sum != k.Sum() || d.Used() != want || d.Index.Count.Load() != count || d.Index.Leaving.Load() != 0 {
				t.Errorf("counted %d in %d files, %d of them leaving; want %d in %d, there were %d", d.Used(), d.Index.Count.Load(), d.Index.Leaving.Load(), want, count, there)
			}
			if _, err := os.Stat(d.Path(k.Sum())); os.IsNotExist(err) != gone {
				t.Errorf("the file: %v", err)
			}
		})
	}
}

// unread is a directory's entry that cannot be asked about.
type unread struct {
	fs.DirEntry
	broken *atomic.Bool
}

func (e unread) Info() (fs.FileInfo, error) {
	if e.broken.Load() {
		return nil, syscall.EIO
	}
	return e.DirEntry.Info()
}

// A file that nothing is learnt about keeps its directory on the list: until then
// it counts as unseen.
func TestScanTriesAFileAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := openedDisk(t, dir, 64<<20)
		fillUp(t, d, "", 20, 10_000)
		d.kill()
		d = openedDisk(t, dir, 64<<20)
		known, real := d.Used(), d.sys.List
		var broken atomic.Bool
		broken.Store(true)
		d.sys.List = func(path string) ([]fs.DirEntry, error) {
			entries, err := real(path)
			if path == filepath.Dir(d.Path(store.Key{Site: "s", ID: "3"}.Sum())) {
				entries[0] = unread{entries[0], &broken}
			}
			return entries, err
		}
		done := make(chan struct{})
		go func() {
			d.Scan(nil)
			close(done)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if d.scanned.Load() != directories-1 || d.Used() != known || d.Index.Count.Load() != 19 {
			t.Errorf("%d directories, %d bytes of %d in %d files", d.scanned.Load(), d.Used(), known, d.Index.Count.Load())
		}
		broken.Store(false)
		<-done
		there, _ := storetest.Files(t, dir)
		if d.scanned.Load() != directories || d.Used() != there || d.Index.Count.Load() != 20 {
			t.Errorf("%d directories, %d bytes of %d in %d files", d.scanned.Load(), d.Used(), there, d.Index.Count.Load())
		}
	})
}

// Index has at most its number of files, after writes and after a scan.
func TestIndexIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	d.maxFiles = 50
	fillUp(t, d, "", 100, 100)
	if have := d.Index.Count.Load(); have != 50 {
		t.Errorf("%d files are written, want 50", have)
	}
	d.Close()
	d = openedDisk(t, dir, 64<<20)
	d.maxFiles = 30
	most, real := int64(0), d.sys.List
	d.sys.List = func(dir string) ([]fs.DirEntry, error) {
		most = max(most, d.Index.Count.Load())
		return real(dir)
	}
	d.Scan(nil)
	if _, there := storetest.Files(t, dir); most > 30 || there != 30 {
		t.Errorf("%d files while they are found, and %d at last, want 30", most, there)
	}
}
