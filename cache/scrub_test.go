package cache

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// scrubbing runs the scrubber until the test ends.
func scrubbing(t *testing.T, d *disk) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { d.scrub(stop) })
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}

// What rots below the file system leaves no change time; the scrubber finds it.
func TestScrubFindsRot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openedDisk(t, t.TempDir(), 8<<20)
		for i := range 5 {
			k, b := Key{Site: "s", ID: fmt.Sprint(i)}, payload(i, 5000)
			write(t, d, k, metaFor(k, uint64(i+1), b), b)
		}
		rotten := Key{Site: "s", ID: "3"}
		flip(t, d.path(rotten.sum()), -1)
		s := d.open(rotten, rotten.sum())
		d.index.Vouch(rotten.sum(), s.changed) // as if nobody had written to it
		s.Release()
		scrubbing(t, d)
		pass(2 * time.Minute)
		synctest.Wait()
		if d.scrubbed.Load() != 5 || d.spoils.Load() != 1 || d.quarantine.count() != 1 {
			t.Errorf("%d scrubbed, %d spoiled, %d kept aside; want 5, 1, 1", d.scrubbed.Load(), d.spoils.Load(), d.quarantine.count())
		}
		expectStored(t, d, rotten, 0, nil)
		expectStored(t, d, Key{Site: "s", ID: "2"}, 3, payload(2, 5000))
		pass(scrubEvery)
		synctest.Wait()
		pass(2 * time.Minute)
		synctest.Wait()
		if d.scrubbed.Load() != 9 {
			t.Errorf("%d scrubbed after a day, want 9", d.scrubbed.Load())
		}
	})
}

func TestScrubIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openedDisk(t, t.TempDir(), 64<<20)
		for i := range 4 {
			k, b := Key{Site: "s", ID: fmt.Sprint(i)}, payload(i, scrubRate/2)
			write(t, d, k, metaFor(k, uint64(i+1), b), b)
		}
		scrubbing(t, d)
		pass(time.Minute)
		synctest.Wait()
		for i := range int64(4) {
			if have := d.scrubbed.Load(); have != i {
				t.Errorf("%d scrubbed after %d half seconds", have, i)
			}
			pass(time.Second/2 + 2*time.Millisecond)
			synctest.Wait()
		}
	})
}

// While clients read from the disk, they go first.
func TestScrubYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openedDisk(t, t.TempDir(), 64<<20)
		k, b := Key{Site: "s", ID: "1"}, payload(1, scrubRate)
		write(t, d, k, metaFor(k, 1, b), b)
		scrubbing(t, d)
		pass(time.Minute)
		for range 4 * time.Second / (5 * time.Millisecond) {
			d.Get(k).Release()
			pass(5 * time.Millisecond)
		}
		if d.scrubbed.Load() != 0 {
			t.Error("not slower while clients read")
		}
		pass(time.Second)
		synctest.Wait()
		if d.scrubbed.Load() != 1 {
			t.Error("slow although nobody reads")
		}
	})
}

// Two files that were swapped are right each by itself.
func TestScrubFindsSwappedFiles(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	one, two := Key{Site: "s", ID: "1"}, Key{Site: "s", ID: "2"}
	b := payload(1, 100)
	write(t, d, one, metaFor(one, 1, b), b)
	if err := os.Rename(d.path(one.sum()), d.path(two.sum())); err != nil {
		t.Fatal(err)
	}
	if d.scrubFile(two.sum(), hasty(d)); d.spoils.Load() != 1 {
		t.Error("not found")
	}
}

// What cannot be read may be read another time.
func TestScrubLeavesWhatItCannotRead(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	k, b := Key{Site: "s", ID: "1"}, payload(1, 100_000)
	write(t, d, k, metaFor(k, 1, b), b)
	real := d.sys.Read
	d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
		if off > 50_000 {
			return 0, syscall.EIO
		}
		return real(f, p, off)
	}
	d.scrubFile(k.sum(), hasty(d))
	d.index.Vouch(k.sum(), 1) // to be checked again
	expectStored(t, d, k, 0, nil)
	d.sys.Read = real
	expectStored(t, d, k, 1, b)
	if d.spoils.Load() != 0 {
		t.Error("counted as spoiled")
	}
}
