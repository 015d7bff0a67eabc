package disk

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// A small body of known size is in one write with its front, and can be read before that.
// Where memory is short it is written at once, and either file is the same.
func TestSmallBodyIsWrittenOnce(t *testing.T) {
	k := store.Key{Site: "s", ID: "a"}
	body := storetest.Payload(1, 8<<10)
	for _, tt := range []struct {
		name    string
		buffers int64
		size    int64
		before  int // writes
		all     int
	}{
		{"held", 1 << 20, 8 << 10, 0, 1},
		{"memory is short", 8 << 10, 8 << 10, 2, 3},
		{"unknown size", 1 << 20, -1, 2, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openedDisk(t, t.TempDir(), 64<<20)
			buffers, writes := budget.NewBuffers(tt.buffers), 0
			d.buffers = buffers
			d.sys.Write = func(f *os.File, p []byte, off int64) (int, error) {
				writes++
				return fsys.System().Write(f, p, off)
			}
			m := storetest.Meta(k, 1, body)
			w, err := d.Create(k, m, tt.size)
			if err != nil {
				t.Fatal(err)
			}
			writes = 0 // of the watermark
			for _, half := range [][]byte{body[:3000], body[3000:]} {
				if _, err := w.Write(half); err != nil {
					t.Fatal(err)
				}
			}
			have := make([]byte, len(body))
			if n, err := w.ReadAt(have, 0); n < len(body) || !bytes.Equal(have, body) {
				t.Errorf("before the commit %d bytes can be read: %v", n, err)
			}
			if writes != tt.before {
				t.Errorf("%d writes before the commit, want %d", writes, tt.before)
			}
			if err := w.Commit(m); err != nil {
				t.Fatal(err)
			}
			if writes != tt.all {
				t.Errorf("%d writes, want %d", writes, tt.all)
			}
			if n, err := w.ReadAt(have[:100], 5000); n < 100 || !bytes.Equal(have[:100], body[5000:5100]) {
				t.Errorf("after the commit %d bytes can be read: %v", n, err)
			}
			w.Abort()
			if left := buffers.Left.Load(); left != tt.buffers {
				t.Errorf("%d bytes are not released", tt.buffers-left)
			}
			storetest.Expect(t, d, k, 1, body)
		})
	}
}

// A body that is larger than announced is not stored, and the disk is not blamed.
func TestHeldBodyHasItsSize(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 64<<20)
	k := store.Key{Site: "s", ID: "a"}
	w, err := d.Create(k, storetest.Meta(k, 1, make([]byte, 10)), 10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if n, err := w.Write(make([]byte, 11)); n != 10 || !errors.Is(err, store.ErrNoSpace) || d.Paused() {
		t.Errorf("%d bytes were taken, %v; paused %t", n, err, d.Paused())
	}
}

// Once the scan has ended a response that is not stored costs no system call. Before that the
// file system is asked.
func TestAbsentFilesAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	earlier := openedDisk(t, dir, 64<<20)
	k, other := store.Key{Site: "s", ID: "a"}, store.Key{Site: "s", ID: "b"}
	body := storetest.Payload(1, 100)
	storetest.Write(t, earlier, k, storetest.Meta(k, 1, body), body)
	earlier.Close()

	d := openedDisk(t, dir, 64<<20)
	opens := 0
	d.sys.Open = func(path string, flag int) (*os.File, error) {
		opens++
		return fsys.System().Open(path, flag)
	}
	if d.Get(other) != nil || opens == 0 {
		t.Error("the file system was not asked before the scan")
	}
	storetest.Expect(t, d, k, 1, body)
	d.Scan(nil)
	opens = 0
	if d.Get(other) != nil || d.Newer(other.Sum(), storetest.Meta(other, 1, body)) || opens != 0 {
		t.Errorf("%d files were opened for a response that is not stored", opens)
	}
	storetest.Expect(t, d, k, 1, body)
	storetest.Write(t, d, other, storetest.Meta(other, 1, body), body)
	storetest.Expect(t, d, other, 1, body)
}
