package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// files is what the disk tier has on disk, as it counts.
func files(t *testing.T, dir string) (bytes int64, count int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		bytes += onDisk(info.Size())
		count++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, count
}

func TestDiskKeepsItsLimit(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	d := openedDisk(t, dir, limit)
	for i := range 100 {
		k := Key{Site: "s", ID: fmt.Sprint(i)}
		b := payload(i, 30_000+i*100)
		write(t, d, k, metaFor(k, uint64(i+1), b), b)
		expectStored(t, d, k, uint64(i+1), b) // the newest is not what makes room
		used, count := files(t, dir)
		if used > limit || used != d.index.used.Load() || int64(count) != d.index.count.Load() {
			t.Fatalf("%d bytes in %d files, index says %d in %d, limit %d", used, count, d.index.used.Load(), d.index.count.Load(), limit)
		}
	}
	if d.reserved.Load() != 0 || d.evictions.Load() == 0 {
		t.Errorf("%d bytes reserved, %d evictions", d.reserved.Load(), d.evictions.Load())
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
				k := Key{Site: "s", ID: fmt.Sprint(worker, i)}
				b := payload(i, 100_000)
				m := metaFor(k, uint64(i+1), b)
				w, err := d.Create(k, m, -1+int64(i%2)*100_001)
				if err != nil {
					continue
				}
				if _, err := w.Write(b); err == nil {
					w.Commit(m)
				}
				if have := d.index.used.Load(); have > limit {
					t.Errorf("%d bytes, limit %d", have, limit)
				}
				w.Abort()
			}
		})
	}
	wg.Wait()
	if used, _ := files(t, dir); used > limit || used == 0 || d.reserved.Load() != 0 {
		t.Errorf("%d bytes, limit %d, reserved %d", used, limit, d.reserved.Load())
	}
}

func TestDiskRefusesWhatCannotFit(t *testing.T) {
	const limit = 1 << 20
	d := openedDisk(t, t.TempDir(), limit)
	small, big := Key{ID: "small"}, Key{ID: "big"}
	b := payload(1, 100)
	write(t, d, small, metaFor(small, 1, b), b)
	if _, err := d.Create(big, metaFor(big, 2, nil), limit); !errors.Is(err, errNoRoom) {
		t.Errorf("larger than the limit: %v, want errNoRoom", err)
	}
	// Two writers that fit one by one, and not together.
	one, err := d.Create(big, metaFor(big, 2, nil), limit/2)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Abort()
	expectStored(t, d, small, 1, b)
	if _, err := d.Create(Key{ID: "other"}, metaFor(big, 3, nil), limit/2); !errors.Is(err, errNoRoom) {
		t.Errorf("beyond what is promised to writers: %v, want errNoRoom", err)
	}
	expectStored(t, d, small, 1, b) // nothing was evicted in vain
	// A body that turns out too large is refused while it is written.
	w, err := d.Create(Key{ID: "grows"}, metaFor(big, 4, nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for range limit / 4096 {
		if _, err = w.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	if !errors.Is(err, errNoRoom) {
		t.Errorf("a body that grows beyond the limit: %v, want errNoRoom", err)
	}
}

func TestDiskReplacementIsCountedOnce(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 1<<20)
	k := Key{ID: "a"}
	for i, n := range []int{100, 90_000, 10, 0} {
		b := payload(i, n)
		write(t, d, k, metaFor(k, uint64(i+1), b), b)
		if used, count := files(t, dir); used != d.index.used.Load() || count != 1 || d.index.count.Load() != 1 {
			t.Errorf("%d bytes in %d files, index says %d in %d", used, count, d.index.used.Load(), d.index.count.Load())
		}
	}
}

func TestDiskFindsWhatAnEarlierEdgeLeft(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 8<<20)
	b := payload(1, 50_000)
	for i := range 20 {
		k := Key{Site: "s", ID: fmt.Sprint(i)}
		write(t, d, k, metaFor(k, 1, b), b)
	}
	used := d.index.used.Load()
	d.close()

	d = openedDisk(t, dir, 8<<20)
	expectStored(t, d, Key{Site: "s", ID: "3"}, 1, b) // before it was scanned
	d.scan(nil)
	if d.index.used.Load() != used || d.index.count.Load() != 20 || d.scanned.Load() != directories {
		t.Errorf("found %d bytes in %d files, want %d in 20", d.index.used.Load(), d.index.count.Load(), used)
	}
	d.close()

	d = openedDisk(t, dir, used/2) // the operator wants less
	d.scan(nil)
	if have, _ := files(t, dir); have > used/2 || have == 0 {
		t.Errorf("%d bytes, limit %d", have, used/2)
	}
	d.close()

	d = openedDisk(t, dir, 8<<20)
	stop := make(chan struct{})
	close(stop)
	if d.scan(stop); d.scanned.Load() == directories {
		t.Error("a scan that was stopped says it is complete")
	}
}

func TestDiskScanPassesOverWhatIsNotItsOwn(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 1<<20)
	if err := os.Mkdir(filepath.Join(dir, "objects", "00"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", "00", strings.Repeat("0", 31)} {
		if err := os.WriteFile(filepath.Join(dir, "objects", "00", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if d.scan(nil); d.index.count.Load() != 0 || d.scanned.Load() != directories {
		t.Errorf("%d files counted", d.index.count.Load())
	}
}

func TestDiskOpen(t *testing.T) {
	quiet := func(string, error) {}
	t.Run("what a stopped edge was writing is removed", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tmp", "1"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		openedDisk(t, dir, 1<<20) // whose clean-up looks
		if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("a second edge on one directory is refused", func(t *testing.T) {
		dir := t.TempDir()
		first := openedDisk(t, dir, 1<<20)
		if _, err := openDisk(realSystem(), dir, 1<<20, quiet); err == nil || !strings.Contains(err.Error(), "in use by another edge") {
			t.Errorf("got %v", err)
		}
		first.close()
		openedDisk(t, dir, 1<<20)
	})
	t.Run("a newer format is refused and left alone", func(t *testing.T) {
		dir := t.TempDir()
		d := openedDisk(t, dir, 1<<20)
		k, b := Key{ID: "a"}, payload(1, 10)
		write(t, d, k, metaFor(k, 1, b), b)
		d.close()
		format := filepath.Join(dir, "format")
		if err := os.WriteFile(format, []byte("3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openDisk(realSystem(), dir, 1<<20, quiet); err == nil || !strings.Contains(err.Error(), "format") {
			t.Errorf("got %v", err)
		}
		if _, count := files(t, dir); count != 1 {
			t.Errorf("%d files remain, want 1", count)
		}
		if err := os.WriteFile(format, []byte("2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		expectStored(t, openedDisk(t, dir, 1<<20), k, 1, b) // and the lock was given back
	})
	t.Run("a directory that cannot be made", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Disk: 1 << 20, Dir: filepath.Join(file, "cache")}); err == nil {
			t.Error("opened below a file")
		}
	})
	t.Run("a directory that cannot be written to", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root may write anywhere")
		}
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Disk: 1 << 20, Dir: dir}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v, want a permission error", err)
		}
	})
}

func TestDiskSwappedFilesAreMisses(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	one, two := Key{Site: "s", ID: "1"}, Key{Site: "s", ID: "2"}
	b := payload(1, 100)
	write(t, d, one, metaFor(one, 1, b), b)
	write(t, d, two, metaFor(two, 2, b), b)
	p, q := d.path(one.sum()), d.path(two.sum())
	for _, move := range [][2]string{{p, p + ".x"}, {q, p}, {p + ".x", q}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	expectStored(t, d, one, 0, nil)
	expectStored(t, d, two, 0, nil)
	write(t, d, one, metaFor(one, 3, b), b)
	expectStored(t, d, one, 3, b) // and the place can be used again
}

func TestDiskDamagedFilesAreMissesAndGo(t *testing.T) {
	k, b := Key{Site: "s", ID: "1"}, payload(1, 1000)
	for name, damage := range map[string]func([]byte) []byte{
		"empty":         func(f []byte) []byte { return nil },
		"cut":           func(f []byte) []byte { return f[:len(f)-1] },
		"longer":        func(f []byte) []byte { return append(f, 0) },
		"no record":     func(f []byte) []byte { return bytes.Repeat([]byte("x"), len(f)) },
		"holes":         func(f []byte) []byte { return make([]byte, len(f)) },
		"only its head": func(f []byte) []byte { return f[:preambleSize] },
	} {
		t.Run(name, func(t *testing.T) {
			d := openedDisk(t, t.TempDir(), 1<<20)
			write(t, d, k, metaFor(k, 1, b), b)
			path := d.path(k.sum())
			f, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(f), 0o600); err != nil {
				t.Fatal(err)
			}
			expectStored(t, d, k, 0, nil)
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("still there: %v", err)
			}
			if d.spoils.Load() != 1 || d.index.count.Load() != 0 {
				t.Errorf("%d spoiled, %d in the index", d.spoils.Load(), d.index.count.Load())
			}
		})
	}
}

func TestDiskFreshenOfAMissingFile(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := Key{ID: "1"}, payload(1, 10)
	write(t, d, k, metaFor(k, 1, b), b)
	if err := os.Remove(d.path(k.sum())); err != nil {
		t.Fatal(err)
	}
	if err := d.Freshen(k, 1, metaFor(k, 2, b)); !errors.Is(err, errGone) {
		t.Errorf("got %v, want errGone", err)
	}
}

// A response in UTF-8 is the rule; other bytes must not come back as others.
func TestDiskGivesFieldsBackByteForByte(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := Key{ID: "caf\xe9"}, payload(1, 10)
	m := metaFor(k, 1, b, "X-Name: caf\xe9", "X-Html: <&>\u2028")
	w, err := d.Create(k, m, 10)
	if err == nil {
		w.Write(b)
		err = w.Commit(m)
		w.Abort()
	}
	have := d.Get(k)
	if err != nil && have == nil {
		return // refused is right, too
	}
	if have == nil {
		t.Fatal("taken, and never found again")
	}
	defer have.Release()
	if have.Header.Get("X-Name") != "caf\xe9" || have.Header.Get("X-Html") != "<&>\u2028" {
		t.Errorf("fields come back as %q", have.Header)
	}
}
