package disk

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// found returns the stored response, which the caller releases.
func found(t *testing.T, d *Store, k store.Key) *Entry {
	t.Helper()
	s := d.Get(k)
	if s == nil {
		t.Fatal("not stored")
	}
	return s.Body.(*Entry)
}

// Look-ups share an open file until its name is another file's, and each kind of change
// ends that. A File that is in use stays readable.
func TestAFileStaysOpenUntilItChanges(t *testing.T) {
	b, other := storetest.Payload(1, 100_000), storetest.Payload(2, 100_000)
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		change  func(t *testing.T, d *Store, k store.Key)
		version uint64 // that is found afterwards, 0 for none
		want    []byte
		unseen  bool // until the next look-up
	}{
		"nothing": {func(*testing.T, *Store, store.Key) {}, 1, b, false},
		"committed": {func(t *testing.T, d *Store, k store.Key) {
			storetest.Write(t, d, k, storetest.Meta(k, 2, other), other)
		}, 2, other, false},
		"freshened": {func(t *testing.T, d *Store, k store.Key) { must(t, d.Freshen(k, 1, storetest.Meta(k, 2, b))) }, 2, b, false},
		"removed":   {func(_ *testing.T, d *Store, k store.Key) { d.Remove(k, 1) }, 0, nil, false},
		"evicted": {func(t *testing.T, d *Store, _ store.Key) {
			_, err := d.Evict()
			must(t, err)
		}, 0, nil, false},
		"set aside": {func(t *testing.T, d *Store, k store.Key) {
			s := found(t, d, k)
			d.setAside(k.Sum(), s.Info)
			s.Release()
		}, 0, nil, false},
		"removed by another program": {func(t *testing.T, d *Store, k store.Key) { must(t, os.Remove(d.Path(k.Sum()))) }, 0, nil, true},
		"replaced by another program": {func(t *testing.T, d *Store, k store.Key) {
			path := d.Path(k.Sum())
			text, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path+"-", text, 0o600))
			must(t, os.Rename(path+"-", path))
		}, 1, b, true},
		"damaged by another program": {func(t *testing.T, d *Store, k store.Key) { storetest.Flip(t, d.Path(k.Sum()), -1000) }, 0, nil, true},
		"cut by another program":     {func(t *testing.T, d *Store, k store.Key) { must(t, os.Truncate(d.Path(k.Sum()), 50_000)) }, 0, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := openedDisk(t, t.TempDir(), 64<<20)
			k := store.Key{Site: "s", ID: "a"}
			storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
			first := found(t, d, k)
			defer first.Release()
			again := found(t, d, k)
			if again.File != first.File || !first.Current() || first.Verified() == nil {
				t.Error("not shared")
			}
			again.Release()
			tt.change(t, d, k)
			if first.Current() != (name == "nothing" || tt.unseen) {
				t.Errorf("current: %t", first.Current())
			}
			if name == "evicted" || name == "removed" || name == "set aside" {
				if d.Has(k.Sum()) {
					t.Error("counts as stored")
				}
			}
			storetest.Expect(t, d, k, tt.version, tt.want)
			if first.Current() != (name == "nothing") {
				t.Errorf("behind a look-up, current: %t", first.Current())
			}
			got := make([]byte, len(b))
			if _, err := first.ReadAt(got, 0); !bytes.Equal(got, b) && name[:3] != "dam" && name[:3] != "cut" {
				t.Errorf("not readable any more: %v", err)
			}
		})
	}
}

// A look-up that opened a file before a change does not keep it behind the change.
func TestALateLookUpKeepsNothing(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 64<<20)
	k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 1000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	late := d.Find(k, k.Sum())
	storetest.Write(t, d, k, storetest.Meta(k, 2, b), b)
	s := d.Checked(k.Sum(), late)
	if s == nil || late.Current() {
		t.Error("kept")
	}
	s.Release()
	storetest.Expect(t, d, k, 2, b)
}

// The table has a bound, drops files that are not in use first, and closes all that it
// drops.
func TestOpenFilesAreBounded(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 64<<20)
	if n := d.KeepOpen(32); n != 32 {
		t.Fatalf("keeps %d", n)
	}
	key := func(i int) store.Key { return store.Key{Site: "s", ID: fmt.Sprint(i)} }
	b := storetest.Payload(1, 1000)
	var all []*File
	for i := range 300 {
		storetest.Write(t, d, key(i), storetest.Meta(key(i), uint64(i+1), b), b)
		s := found(t, d, key(i))
		all = append(all, s.File)
		s.Release()
		s.Release() // does nothing
	}
	open := 0
	for i, f := range all {
		if !f.Use() {
			if _, err := f.Raw.File.Stat(); err == nil {
				t.Errorf("%d is dropped, and open", i)
			}
			continue
		}
		open++
		f.Close()
	}
	if open == 0 || open > 32 || d.OpenBytes() < int64(open)*1024 {
		t.Errorf("%d open, of %d bytes", open, d.OpenBytes())
	}
	d.Close()
	for i, f := range all {
		if f.Use() {
			t.Errorf("%d is open behind Close", i)
		}
	}
	if d.OpenBytes() != 0 {
		t.Errorf("%d bytes are left", d.OpenBytes())
	}
}

// A section knows its place in the file, and moves nobody else's.
func TestSectionsAreApart(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 64<<20)
	k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 100_000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	one, other := found(t, d, k), found(t, d, k)
	defer one.Release()
	defer other.Release()
	first, _ := one.Section(10, 1000)
	second, _ := other.Section(20_000, 1000)
	half := make([]byte, 500)
	for _, r := range []io.Reader{first, second} {
		if _, err := io.ReadFull(r, half); err != nil {
			t.Fatal(err)
		}
	}
	for off, r := range map[int]io.Reader{10: first, 20_000: second} {
		f, at := r.(interface{ InFile() (*os.File, int64) }).InFile()
		there := make([]byte, 500)
		if _, err := f.ReadAt(there, at); err != nil || !bytes.Equal(there, b[off+500:off+1000]) {
			t.Errorf("%d: its place is another one: %v", off, err)
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(rest, there) {
			t.Errorf("%d: the rest is another one: %v", off, err)
		}
	}
}

// The first look-up of all has its ticket behind the opening of its file: a file that has
// lost its name by then is not kept.
func TestTheFirstLookupKeepsItsFileUnlessItWasReplaced(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		d := openedDisk(t, t.TempDir(), 64<<20)
		k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 1000)
		storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
		open := d.sys.Open
		d.sys.Open = func(path string, flag int) (*os.File, error) {
			f, err := open(path, flag)
			if replaced && path == d.Path(k.Sum()) {
				d.sys.Open = open
				storetest.Write(t, d, k, storetest.Meta(k, 2, b), b)
			}
			return f, err
		}
		first := found(t, d, k)
		if first.Version != 1 || first.Current() == replaced {
			t.Errorf("replaced %t: version %d, current %t", replaced, first.Version, first.Current())
		}
		first.Release()
	}
}
