package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestDiskReplacementIsCountedOnce(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 1<<20)
	k := store.Key{ID: "a"}
	for i, n := range []int{100, 90_000, 10, 0} {
		b := storetest.Payload(i, n)
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		if used, count := storetest.Files(t, dir); used != d.Index.Used.Load() || count != 1 || d.Index.Count.Load() != 1 {
			t.Errorf("%d bytes in %d files, index says %d in %d", used, count, d.Index.Used.Load(), d.Index.Count.Load())
		}
	}
}

func TestDiskFindsWhatAnEarlierEdgeLeft(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 8<<20)
	b := storetest.Payload(1, 50_000)
	for i := range 20 {
		k := store.Key{Site: "s", ID: fmt.Sprint(i)}
		storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	}
	used := d.Index.Used.Load()
	d.Close()

	d = openedDisk(t, dir, 8<<20)
	storetest.Expect(t, d, store.Key{Site: "s", ID: "3"}, 1, b) // before it was scanned
	d.Scan(nil)
	if d.Index.Used.Load() != used || d.Index.Count.Load() != 20 || d.scanned.Load() != directories {
		t.Errorf("found %d bytes in %d files, want %d in 20", d.Index.Used.Load(), d.Index.Count.Load(), used)
	}
	d.Close()

	d = openedDisk(t, dir, used/2) // the operator wants less
	d.Scan(nil)
	if have, _ := storetest.Files(t, dir); have > used/2 || have == 0 {
		t.Errorf("%d bytes, limit %d", have, used/2)
	}
	d.Close()

	d = openedDisk(t, dir, 8<<20)
	stop := make(chan struct{})
	close(stop)
	if d.Scan(stop); d.scanned.Load() == directories {
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
	if d.Scan(nil); d.Index.Count.Load() != 0 || d.scanned.Load() != directories {
		t.Errorf("%d files counted", d.Index.Count.Load())
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
	t.Run("what cannot be removed takes its room", func(t *testing.T) {
		dir := t.TempDir()
		openedDisk(t, dir, 1<<20).Close()
		if err := os.WriteFile(filepath.Join(dir, "tmp", "left"), storetest.Payload(1, 900_000), 0o600); err != nil {
			t.Fatal(err)
		}
		sys := fsys.System()
		sys.Remove = func(path string) error {
			if filepath.Base(path) == "left" {
				return syscall.EIO
			}
			return os.Remove(path)
		}
		told := false
		d, err := Open(Config{Sys: sys, Dir: dir, Limit: 1 << 20, Notify: func(string, error) { told = true }})
		if err != nil || !told {
			t.Fatalf("told %t, %v", told, err)
		}
		if _, err := d.Create(store.Key{ID: "a"}, &store.Meta{}, 200_000); !errors.Is(err, store.ErrNoSpace) {
			t.Errorf("got %v, want errNoRoom", err)
		}
		d.Close()
		openedDisk(t, dir, 1<<20)
	})
	t.Run("a second edge on one directory is refused", func(t *testing.T) {
		dir := t.TempDir()
		first := openedDisk(t, dir, 1<<20)
		if _, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: 1 << 20, Notify: quiet}); err == nil || !strings.Contains(err.Error(), "in use by another edge") {
			t.Errorf("got %v", err)
		}
		first.Close()
		openedDisk(t, dir, 1<<20)
	})
	t.Run("a newer format is refused and left alone", func(t *testing.T) {
		dir := t.TempDir()
		d := openedDisk(t, dir, 1<<20)
		k, b := store.Key{ID: "a"}, storetest.Payload(1, 10)
		storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
		d.Close()
		format := filepath.Join(dir, "format")
		if err := os.WriteFile(format, []byte("4\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: 1 << 20, Notify: quiet}); err == nil || !strings.Contains(err.Error(), "format") {
			t.Errorf("got %v", err)
		}
		if _, count := storetest.Files(t, dir); count != 1 {
			t.Errorf("%d files remain, want 1", count)
		}
		if err := os.WriteFile(format, []byte("3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		storetest.Expect(t, openedDisk(t, dir, 1<<20), k, 1, b) // and the lock was given back
	})
	t.Run("a directory that cannot be made", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Sys: fsys.System(), Dir: filepath.Join(file, "cache"), Limit: 1 << 20, Notify: func(string, error) {}}); err == nil {
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
		if _, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: 1 << 20, Notify: func(string, error) {}}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v, want a permission error", err)
		}
	})
}

func TestDiskSwappedFilesAreMisses(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	one, two := store.Key{Site: "s", ID: "1"}, store.Key{Site: "s", ID: "2"}
	b, larger := storetest.Payload(1, 100), storetest.Payload(1, 10_000)
	storetest.Write(t, d, one, storetest.Meta(one, 1, b), b)
	storetest.Write(t, d, two, storetest.Meta(two, 2, larger), larger)
	p, q := d.Path(one.Sum()), d.Path(two.Sum())
	for _, move := range [][2]string{{p, p + ".x"}, {q, p}, {p + ".x", q}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Expect(t, d, one, 0, nil)
	storetest.Expect(t, d, two, 0, nil)
	if used, _ := storetest.Files(t, d.dir); used != 0 || d.corrupt.Load() != 2 || d.Used() != d.quarantine.Bytes.Load() {
		t.Errorf("%d bytes, counted %d, %d corrupt; want 0, 0, 2", used, d.Used(), d.corrupt.Load())
	}
	storetest.Write(t, d, one, storetest.Meta(one, 3, b), b)
	storetest.Expect(t, d, one, 3, b) // and the place can be used again
}

func TestDiskDamagedFilesAreMissesAndGo(t *testing.T) {
	k, b := store.Key{Site: "s", ID: "1"}, storetest.Payload(1, 1000)
	for name, damage := range map[string]func([]byte) []byte{
		"empty":         func(f []byte) []byte { return nil },
		"cut":           func(f []byte) []byte { return f[:len(f)-1] },
		"longer":        func(f []byte) []byte { return append(f, make([]byte, record.MaxTail+1)...) },
		"no record":     func(f []byte) []byte { return bytes.Repeat([]byte("x"), len(f)) },
		"holes":         func(f []byte) []byte { return make([]byte, len(f)) },
		"only its head": func(f []byte) []byte { return f[:16] },
	} {
		t.Run(name, func(t *testing.T) {
			d := openedDisk(t, t.TempDir(), 1<<20)
			storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
			path := d.Path(k.Sum())
			f, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(f), 0o600); err != nil {
				t.Fatal(err)
			}
			storetest.Expect(t, d, k, 0, nil)
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("still there: %v", err)
			}
			if d.corrupt.Load() != 1 || d.Index.Count.Load() != 0 {
				t.Errorf("%d corrupt, %d in the index", d.corrupt.Load(), d.Index.Count.Load())
			}
		})
	}
}

func TestDiskFreshenOfAMissingFile(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := store.Key{ID: "1"}, storetest.Payload(1, 10)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	if err := os.Remove(d.Path(k.Sum())); err != nil {
		t.Fatal(err)
	}
	if err := d.Freshen(k, 1, storetest.Meta(k, 2, b)); !errors.Is(err, store.ErrGone) {
		t.Errorf("got %v, want errGone", err)
	}
}

// A response in UTF-8 is the rule; other bytes must not come back as others.
func TestDiskGivesFieldsBackByteForByte(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, b := store.Key{ID: "caf\xe9"}, storetest.Payload(1, 10)
	m := storetest.Meta(k, 1, b, "X-Name: caf\xe9", "X-Html: <&>\u2028")
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
