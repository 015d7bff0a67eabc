package disk

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// openHere opens dir without the settling that openedDisk adds.
func openHere(t *testing.T, dir string) *Store {
	t.Helper()
	d, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: 64 << 20, Notify: func(string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestBytesChangedOnDiskAreNeverServed(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		dir := t.TempDir()
		d := openHere(t, dir)
		k, content := store.Key{Site: "s", ID: "large"}, storetest.Payload(1, 1<<20)
		storetest.Write(t, d, k, storetest.Meta(k, 1, content), content)
		storetest.Expect(t, d, k, 1, content)
		f, err := os.OpenFile(d.Path(k.Sum()), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{content[len(content)-7] ^ 1}, info.Size()-7); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if restarted {
			d.Close()
			d = openHere(t, dir)
		}
		if s := d.Get(k); s != nil {
			s.Release()
			t.Errorf("restarted %t: served although a byte is wrong", restarted)
		}
		if n := d.corrupt.Load(); n != 1 {
			t.Errorf("restarted %t: %d files counted as corrupt; want 1", restarted, n)
		}
		if _, err := os.Stat(d.Path(k.Sum())); !os.IsNotExist(err) {
			t.Errorf("restarted %t: the file is still there: %v", restarted, err)
		}
	}
}

func TestFresheningKeepsTheVerification(t *testing.T) {
	d := openHere(t, t.TempDir())
	k, content := store.Key{Site: "s", ID: "large"}, storetest.Payload(1, 1<<20)
	m := storetest.Meta(k, 1, content)
	storetest.Write(t, d, k, m, content)
	renewed := *m
	renewed.Version = 2
	if err := d.Freshen(k, 1, &renewed); err != nil {
		t.Fatal(err)
	}
	s := d.Find(k, k.Sum())
	defer s.Release()
	if s == nil || s.Version != 2 {
		t.Fatal("not freshened")
	}
	if !s.verified {
		t.Error("after freshening, the bytes would be checked once more")
	}
}

// A thousand clients that want a large file after a start read it once.
func TestVerifyIsOneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openHere(t, t.TempDir())
		k, content := store.Key{Site: "s", ID: "large"}, storetest.Payload(1, 300_000)
		storetest.Write(t, d, k, storetest.Meta(k, 1, content), content)
		d.Index.SetVerified(k.Sum(), 1) // as after a start
		real, gate := d.sys.Read, make(chan struct{})
		var ends atomic.Int64
		d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
			if off > record.FrontSize {
				<-gate
			}
			n, err := real(f, p, off)
			if off > 250_000 {
				ends.Add(1)
			}
			return n, err
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				s := d.Get(k)
				if s == nil {
					t.Error("a miss")
				}
				s.Release()
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if n := ends.Load(); n != 1 {
			t.Errorf("its end was read %d times", n)
		}
		if len(d.checks.running) != 0 {
			t.Error("checks are left")
		}
	})
}

// The wait for another look-up's check of a file is bounded.
func TestNobodyWaitsLongForACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openHere(t, t.TempDir())
		k, content := store.Key{Site: "s", ID: "large"}, storetest.Payload(1, 300_000)
		storetest.Write(t, d, k, storetest.Meta(k, 1, content), content)
		d.Index.SetVerified(k.Sum(), 1) // as after a start
		real, gate := d.sys.Read, make(chan struct{})
		d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
			if off > record.FrontSize {
				<-gate
			}
			return real(f, p, off)
		}
		checked := make(chan *store.Entry)
		go func() { checked <- d.Get(k) }()
		synctest.Wait()
		began := time.Now()
		if s := d.Get(k); s != nil || time.Since(began) != checkTimeout {
			t.Errorf("after %v: %v", time.Since(began), s)
		}
		close(gate)
		if s := <-checked; s == nil {
			t.Error("who checks it does not get it")
		} else {
			s.Release()
		}
		storetest.Expect(t, d, k, 1, content)
	})
}
