package disk

import (
	"errors"
	"fmt"
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

// kill ends a disk tier as SIGKILL does: nothing is written any more.
func (d *Store) kill() {
	d.closed.Store(true)
	d.lock.Close()
}

// fillUp commits n objects of that many bytes, as far as they are taken.
func fillUp(t *testing.T, d *Store, name string, n, size int) {
	t.Helper()
	b := storetest.Payload(1, size)
	for i := range n {
		k := store.Key{Site: "s", ID: fmt.Sprint(name, i)}
		m := storetest.Meta(k, uint64(i+1), b)
		w, err := d.Create(k, m, int64(size))
		if errors.Is(err, store.ErrNoSpace) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(m); err != nil {
			t.Fatal(err)
		}
		w.Abort()
	}
}

// The limit holds before the scan, for any files of the previous process and any end of it.
// Its files count.
func TestLimitHoldsBeforeTheScan(t *testing.T) {
	const limit = 8 << 20
	for _, tt := range []struct {
		rule string
		end  func(d *Store, used string)
	}{
		{"closed", func(d *Store, _ string) { d.Close() }},
		{"killed", func(d *Store, _ string) { d.kill() }},
		{"killed, and the count lost", func(d *Store, used string) { d.kill(); os.Remove(used) }},
		{"killed, and the count empty", func(d *Store, used string) { d.kill(); os.Truncate(used, 0) }},
		{"killed, and the count torn", func(d *Store, used string) { d.kill(); os.Truncate(used, 25) }},
		{"killed, and the count no number", func(d *Store, used string) { d.kill(); os.WriteFile(used, []byte("x"), 0o600) }},
	} {
		for _, full := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.rule, " full=", full), func(t *testing.T) {
				dir := t.TempDir()
				d := openHere(t, dir)
				d.limit, d.watermark.limit = limit, limit
				n := 10
				if full {
					n = 100
				}
				fillUp(t, d, "before", n, 100_000)
				tt.end(d, filepath.Join(dir, "used"))
				d = openedDisk(t, dir, limit)
				there, _ := storetest.Files(t, dir)
				if have := d.Used(); have < there {
					t.Errorf("%d bytes are counted, %d are there", have, there)
				}
				fillUp(t, d, "after", 150, 100_000)
				if used, _ := storetest.Files(t, dir); used > limit {
					t.Errorf("%d bytes, limit %d", used, limit)
				}
				d.Scan(nil)
				if used, _ := storetest.Files(t, dir); used != d.Used() || used > limit {
					t.Errorf("after the scan %d bytes, counted %d, limit %d", used, d.Used(), limit)
				}
				fillUp(t, d, "later", 150, 100_000)
				if used, _ := storetest.Files(t, dir); used > limit || used < limit*9/10 {
					t.Errorf("at last %d bytes, limit %d", used, limit)
				}
			})
		}
	}
}

// At any moment the bytes on disk are at most the watermark that the next edge would read.
func TestWatermarkIsRaisedBeforeItIsReached(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	next := watermark{path: filepath.Join(dir, "used"), limit: 64 << 20, sys: fsys.System()}
	raised := 0
	for i := range 40 {
		before := d.watermark.noted.Load()
		fillUp(t, d, fmt.Sprint(i), 1, 200_000)
		if d.watermark.noted.Load() != before {
			raised++
		}
		if used, _ := storetest.Files(t, dir); used > next.read() {
			t.Errorf("%d bytes, and the watermark is %d", used, next.read())
		}
	}
	if raised < 5 || raised > 10 {
		t.Errorf("raised %d times for 8 MB in steps of 1 MiB", raised)
	}
	d.Close()
	if used, _ := storetest.Files(t, dir); next.read() != used {
		t.Errorf("closed, and the watermark is %d, want %d", next.read(), used)
	}
}

// An empty directory is known to be empty.
func TestNewDirectoryHasNothing(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	if d.Used() != 0 {
		t.Errorf("%d bytes", d.Used())
	}
}

// Without a raised watermark nothing is written.
func TestWatermarkThatCannotBeRaised(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	real := d.watermark.sys.Sync
	d.watermark.sys.Sync = func(*os.File) error { return syscall.EIO }
	k := store.Key{ID: "a"}
	if _, err := d.Create(k, storetest.Meta(k, 1, nil), 10); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	if !d.breaker.Open(time.Now()) || d.reserved.Load() != 0 || d.writers.Load() != 0 {
		t.Errorf("goes on writing, or %d bytes stay reserved", d.reserved.Load())
	}
	d.watermark.sys.Sync = real
	d.breaker = breaker{}
	b := storetest.Payload(1, 10)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
}

// A directory that cannot be read now is read later. Until then its files count.
func TestScanTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := openedDisk(t, dir, 64<<20)
		fillUp(t, d, "", 300, 10_000)
		d.kill()
		d = openedDisk(t, dir, 64<<20)
		known := d.Used()
		var broken atomic.Bool
		broken.Store(true)
		real := d.sys.List
		unread := filepath.Base(filepath.Dir(d.Path(store.Key{Site: "s", ID: "0"}.Sum())))
		d.sys.List = func(path string) ([]os.DirEntry, error) {
			if filepath.Base(path) == unread && broken.Load() {
				return nil, syscall.EMFILE
			}
			return real(path)
		}
		done := make(chan struct{})
		go func() {
			d.Scan(nil)
			close(done)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		there, count := storetest.Files(t, dir)
		if d.scanned.Load() != directories-1 || d.Used() != known || known < there || d.Index.Count.Load() == int64(count) {
			t.Errorf("%d directories, %d bytes of %d", d.scanned.Load(), d.Used(), there)
		}
		broken.Store(false)
		<-done
		if d.scanned.Load() != directories || d.Used() != there || d.Index.Count.Load() != int64(count) {
			t.Errorf("%d directories, %d bytes of %d in %d files of %d", d.scanned.Load(), d.Used(), there, d.Index.Count.Load(), count)
		}
	})
}

// A corrupt file that the scan has not reached is set aside, and counts only there.
func TestCorruptBeforeTheScan(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	fillUp(t, d, "", 10, 10_000)
	d.kill()
	d = openedDisk(t, dir, 64<<20)
	known, k := d.Used(), store.Key{Site: "s", ID: "3"}
	storetest.Flip(t, d.Path(k.Sum()), -1)
	storetest.Expect(t, d, k, 0, nil)
	if d.Used() != known || d.quarantine.Bytes.Load() == 0 {
		t.Errorf("%d bytes are counted, want %d as before, of them %d put aside", d.Used(), known, d.quarantine.Bytes.Load())
	}
}

// The scan knows metadata without opening it, so that it outlives files from the
// start on.
func TestScanKnowsMetadata(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	b := storetest.Payload(1, 100)
	var keys []store.Key
	for i := range 40 {
		k := store.Key{Site: "s", ID: fmt.Sprint(i), Metadata: i%4 == 0}
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		keys = append(keys, k)
	}
	old := keys[4] // an older edge's
	if err := os.Chmod(d.Path(old.Sum()), fsys.FileMode); err != nil {
		t.Fatal(err)
	}
	if err := d.Freshen(old, 5, storetest.Meta(old, 100, b)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	d = openedDisk(t, dir, 64<<20)
	d.sys.Open = func(string, int) (*os.File, error) { t.Error("opened"); return nil, syscall.EIO }
	d.Scan(nil)
	if have, all := d.Index.Metadata.Load(), d.Index.Used.Load(); 4*have != all {
		t.Errorf("%d of %d bytes are known as metadata; want a quarter", have, all)
	}
	d.closed.Store(true)
	d.lock.Close()
}

// Files that are found make no difference to how many may be made.
func TestFilesFoundAreNotFilesMade(t *testing.T) {
	left := fsys.Space{Free: 1 << 40, Total: 1 << 41, FreeFiles: 1e6, Files: 1e7}
	d := storeWithSpace(t, &left)
	fillUp(t, d, "", 50, 100)
	d.kill()
	left.FreeFiles = 0
	sys := fsys.System()
	sys.Space = func(string) (fsys.Space, error) { return left, nil }
	d, err := Open(Config{Sys: sys, Dir: d.dir, Limit: 64 << 20, Notify: func(string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.growthLimit() // measured before the scan, and good for a second
	d.Scan(nil)
	fillUp(t, d, "new", 1, 100)
	if have := d.Index.Count.Load(); have != 50 || d.evictions.Load() != 1 {
		t.Errorf("%d files, %d evictions; want 50 and 1", have, d.evictions.Load())
	}
}
