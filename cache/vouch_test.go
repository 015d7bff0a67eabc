package cache

import (
	"os"
	"testing"
)

// openHere opens dir without the settling that openedDisk adds.
func openHere(t *testing.T, dir string) *disk {
	t.Helper()
	d, err := openDisk(dir, 64<<20, func(string, error) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return d
}

func TestBytesChangedOnDiskAreNeverServed(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		dir := t.TempDir()
		d := openHere(t, dir)
		k, content := Key{Site: "s", ID: "large"}, payload(1, 1<<20)
		write(t, d, k, metaFor(k, 1, content), content)
		expectStored(t, d, k, 1, content)
		f, err := os.OpenFile(d.path(k.sum()), os.O_RDWR, 0)
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
			d.close()
			d = openHere(t, dir)
		}
		if s := d.Get(k); s != nil {
			s.Release()
			t.Errorf("restarted %t: served although a byte is wrong", restarted)
		}
		if n := d.spoils.Load(); n != 1 {
			t.Errorf("restarted %t: %d files counted as spoiled; want 1", restarted, n)
		}
		if _, err := os.Stat(d.path(k.sum())); !os.IsNotExist(err) {
			t.Errorf("restarted %t: the file is still there: %v", restarted, err)
		}
	}
}

func TestFresheningKeepsTheVouch(t *testing.T) {
	d := openHere(t, t.TempDir())
	k, content := Key{Site: "s", ID: "large"}, payload(1, 1<<20)
	m := metaFor(k, 1, content)
	write(t, d, k, m, content)
	renewed := *m
	renewed.ID = 2
	if err := d.Freshen(k, 1, &renewed); err != nil {
		t.Fatal(err)
	}
	s, changed := d.open(k)
	defer s.Release()
	if s == nil || s.ID != 2 {
		t.Fatal("not freshened")
	}
	if !d.index.vouched(k.sum(), changed) {
		t.Error("after freshening, the bytes would be checked once more")
	}
}
