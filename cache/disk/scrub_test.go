package disk

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// scrubbing runs the scrubber until the test ends.
func scrubbing(t *testing.T, d *Store) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { d.Scrub(stop) })
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}

// Bytes that rot below the file system leave no change time; the scrubber finds them.
func TestScrubFindsRot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openedDisk(t, t.TempDir(), 8<<20)
		for i := range 5 {
			k, b := store.Key{Site: "s", ID: fmt.Sprint(i)}, storetest.Payload(i, 5000)
			storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		}
		rotten := store.Key{Site: "s", ID: "3"}
		storetest.Flip(t, d.Path(rotten.Sum()), -1)
		s := d.Find(rotten, rotten.Sum())
		d.Index.SetVerified(rotten.Sum(), s.Changed) // as if nobody had written to it
		s.Release()
		scrubbing(t, d)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d.scrubbed.Load() != 5 || d.corrupt.Load() != 1 || d.quarantine.Count() != 1 {
			t.Errorf("%d scrubbed, %d corrupt, %d kept aside; want 5, 1, 1", d.scrubbed.Load(), d.corrupt.Load(), d.quarantine.Count())
		}
		storetest.Expect(t, d, rotten, 0, nil)
		storetest.Expect(t, d, store.Key{Site: "s", ID: "2"}, 3, storetest.Payload(2, 5000))
		time.Sleep(scrubEvery)
		synctest.Wait()
		time.Sleep(2 * time.Minute)
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
			k, b := store.Key{Site: "s", ID: fmt.Sprint(i)}, storetest.Payload(i, scrubRate/2)
			storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		}
		scrubbing(t, d)
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := range int64(4) {
			if have := d.scrubbed.Load(); have != i {
				t.Errorf("%d scrubbed after %d half seconds", have, i)
			}
			time.Sleep(time.Second/2 + 2*time.Millisecond)
			synctest.Wait()
		}
	})
}

// While clients read from the disk, they go first.
func TestScrubYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openedDisk(t, t.TempDir(), 64<<20)
		k, b := store.Key{Site: "s", ID: "1"}, storetest.Payload(1, scrubRate)
		storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
		scrubbing(t, d)
		time.Sleep(time.Minute)
		for range 4 * time.Second / (5 * time.Millisecond) {
			d.Get(k).Release()
			time.Sleep(5 * time.Millisecond)
		}
		if d.scrubbed.Load() != 0 {
			t.Error("not slower while clients read")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if d.scrubbed.Load() != 1 {
			t.Error("slow although nobody reads")
		}
	})
}

// Two files that were swapped are right each by itself.
func TestScrubFindsSwappedFiles(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	one, two := store.Key{Site: "s", ID: "1"}, store.Key{Site: "s", ID: "2"}
	b := storetest.Payload(1, 100)
	storetest.Write(t, d, one, storetest.Meta(one, 1, b), b)
	if err := os.Rename(d.Path(one.Sum()), d.Path(two.Sum())); err != nil {
		t.Fatal(err)
	}
	if d.scrubFile(two.Sum(), hasty(d)); d.corrupt.Load() != 1 {
		t.Error("not found")
	}
}

// A file that cannot be read now may be readable later.
func TestScrubLeavesWhatItCannotRead(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	k, b := store.Key{Site: "s", ID: "1"}, storetest.Payload(1, 100_000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	real := d.sys.Read
	d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
		if off > 50_000 {
			return 0, syscall.EIO
		}
		return real(f, p, off)
	}
	d.scrubFile(k.Sum(), hasty(d))
	d.Index.SetVerified(k.Sum(), 1) // to be checked again
	storetest.Expect(t, d, k, 0, nil)
	d.sys.Read = real
	storetest.Expect(t, d, k, 1, b)
	if d.corrupt.Load() != 0 {
		t.Error("counted as corrupt")
	}
}
