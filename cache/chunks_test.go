package cache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// afterAStart is a disk tier with one large response that nobody has checked.
func afterAStart(t *testing.T, size int) (d *disk, k Key, body []byte) {
	t.Helper()
	d = openedDisk(t, t.TempDir(), 64<<20)
	k, body = Key{Site: "s", ID: "large"}, payload(1, size)
	write(t, d, k, metaFor(k, 1, body), body)
	d.index.Vouch(k.sum(), 0)
	return d, k, body
}

// counted counts the bytes that are read.
func counted(d *disk) *atomic.Int64 {
	read, real := new(atomic.Int64), d.sys.Read
	d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
		n, err := real(f, p, off)
		read.Add(int64(n))
		return n, err
	}
	return read
}

func answerOf(s *Stored) *Answer { return &Answer{Meta: s.Meta, Part: s.Parts[0], stored: s} }

// The first byte of a large body waits for its chunk and not for the rest, and so
// does a byte in the middle.
func TestFirstByteOfALargeBodyWaitsForItsChunkOnly(t *testing.T) {
	const size = 100*chunkSize + 5
	for _, off := range []int64{0, 1, 50 * chunkSize, 50*chunkSize - 1, size - 1} {
		d, k, body := afterAStart(t, size)
		read := counted(d)
		s := d.Get(k)
		if s == nil {
			t.Fatal("a miss")
		}
		from, err := answerOf(s).Body(t.Context(), off)
		if err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 1)
		if _, err := io.ReadFull(from, one); err != nil || one[0] != body[off] {
			t.Errorf("at %d: %v, or another byte", off, err)
		}
		if n := read.Load(); n > frontSize+sumsSize(recordFormat, size)+chunkSize {
			t.Errorf("at %d: %d bytes were read", off, n)
		}
		rest, err := io.ReadAll(from)
		if err != nil || !bytes.Equal(rest, body[off+1:]) {
			t.Errorf("from %d: %v, or other bytes", off, err)
		}
		s.Release()
	}
}

// A part of a large body ends where it should.
func TestPartOfALargeBodyEnds(t *testing.T) {
	d, k, body := afterAStart(t, 20*chunkSize)
	s := d.Get(k)
	defer s.Release()
	for _, part := range []Part{{Offset: 7, Size: 10}, {Offset: chunkSize - 3, Size: 2 * chunkSize}, {Offset: 5 * chunkSize, Size: 15 * chunkSize}} {
		from, err := (&Answer{Meta: s.Meta, Part: part, stored: s}).Body(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(from)
		if err != nil || !bytes.Equal(got, body[part.Offset+1:part.Offset+part.Size]) {
			t.Errorf("%d bytes of %d, and %v", len(got), part.Size-1, err)
		}
	}
}

// Whoever reads all of a large body has vouched for it; afterwards it goes out by
// sendfile. A part of it vouches for nothing.
func TestALargeBodyIsVouchedForByWhoReadsIt(t *testing.T) {
	d, k, body := afterAStart(t, 20*chunkSize)
	for _, step := range []struct {
		off  int64
		file bool
	}{{chunkSize, false}, {0, false}, {0, true}, {7, true}} {
		s := d.Get(k)
		from, err := answerOf(s).Body(t.Context(), step.off)
		if err != nil {
			t.Fatal(err)
		}
		if _, file := from.(*os.File); file != step.file {
			t.Errorf("from %d: a file is %t, want %t", step.off, file, step.file)
		}
		got, err := io.ReadAll(io.LimitReader(from, int64(len(body))-step.off))
		if err != nil || !bytes.Equal(got, body[step.off:]) {
			t.Errorf("from %d: %v, or other bytes", step.off, err)
		}
		s.Release()
	}
}

// A wrong byte anywhere is never handed out, nor anything of its chunk; the body
// ends in an error, and the next look-up is a miss.
func TestALargeBodyWithAWrongByteEndsInAnError(t *testing.T) {
	const size = 40*chunkSize + 100
	for _, at := range []int{0, chunkSize - 1, chunkSize, 17*chunkSize + 9, size - 1} {
		d, k, body := afterAStart(t, size)
		s := d.open(k, k.sum())
		flip(t, d.path(k.sum()), at+int(s.base))
		s.Release()
		if s = d.Get(k); s == nil {
			t.Fatalf("byte %d: a miss", at)
		}
		from, err := answerOf(s).Body(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(from)
		if !errors.Is(err, errDamaged) || !bytes.Equal(got, body[:at&^(chunkSize-1)]) {
			t.Errorf("byte %d: %d bytes and %v", at, len(got), err)
		}
		if n, err := s.Body.ReadAt(make([]byte, 10), int64(at)&^(chunkSize-1)); n != 0 || !errors.Is(err, errDamaged) {
			t.Errorf("byte %d, read at its place: %d bytes and %v", at, n, err)
		}
		s.Release()
		expectStored(t, d, k, 0, nil)
		if d.spoils.Load() != 1 || d.quarantine.count() != 0 { // larger than a 64th
			t.Errorf("byte %d: %d spoiled", at, d.spoils.Load())
		}
		if _, err := os.Stat(d.path(k.sum())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("byte %d: still there: %v", at, err)
		}
	}
}

// Sums that are wrong, or a body cut short under a reader.
func TestALargeBodyWithoutItsSums(t *testing.T) {
	t.Run("wrong", func(t *testing.T) {
		d, k, _ := afterAStart(t, wholeCheck+1)
		flip(t, d.path(k.sum()), -1)
		expectStored(t, d, k, 0, nil)
		if d.spoils.Load() != 1 {
			t.Errorf("%d spoiled", d.spoils.Load())
		}
	})
	t.Run("found by the scrubber", func(t *testing.T) {
		d, k, _ := afterAStart(t, wholeCheck+1)
		flip(t, d.path(k.sum()), -1)
		if d.scrubFile(k.sum(), hasty(d)); d.spoils.Load() != 1 {
			t.Errorf("%d spoiled", d.spoils.Load())
		}
	})
	t.Run("cut under a reader", func(t *testing.T) {
		d, k, body := afterAStart(t, wholeCheck+1)
		s := d.Get(k)
		defer s.Release()
		if err := os.Truncate(d.path(k.sum()), 500_000); err != nil {
			t.Fatal(err)
		}
		from, _ := answerOf(s).Body(t.Context(), 0)
		got, err := io.ReadAll(from)
		if !errors.Is(err, errDamaged) || !bytes.Equal(got, body[:len(got)]) {
			t.Errorf("%d bytes and %v", len(got), err)
		}
		expectStored(t, d, k, 0, nil)
	})
	t.Run("cannot be read", func(t *testing.T) {
		d, k, body := afterAStart(t, wholeCheck+1)
		real, broken := d.sys.Read, false
		d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
			if broken {
				return 0, syscall.EIO
			}
			return real(f, p, off)
		}
		s := d.Get(k)
		defer s.Release()
		broken = true
		from, _ := answerOf(s).Body(t.Context(), 0)
		if _, err := io.ReadAll(from); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v, want EIO", err)
		}
		broken = false
		expectStored(t, d, k, 1, body) // it may be read another time
	})
}

// The sums take their room, also where they begin a block.
func TestSumsAreCounted(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	k := Key{Site: "s", ID: "a"}
	w, err := d.Create(k, metaFor(k, 1, nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	body := payload(1, int(2*wholeCheck-w.(*diskWriter).base))
	w.Abort()
	real := d.sys.Rename
	d.sys.Rename = func(from, to string) error {
		info, err := os.Stat(from)
		if err != nil || d.reserved.Load() < onDisk(info.Size()) {
			t.Errorf("%d bytes reserved for %d: %v", d.reserved.Load(), info.Size(), err)
		}
		return real(from, to)
	}
	write(t, d, k, metaFor(k, 1, body), body)
	if used, _ := files(t, dir); used != d.used() || used != onDisk(2*wholeCheck+1) {
		t.Errorf("%d bytes, counted %d", used, d.used())
	}
}

// Large files of format 2 have no sums: they are checked whole.
func TestRecordOfFormatTwo(t *testing.T) {
	dir := t.TempDir()
	k, body := Key{Site: "s", ID: "a"}, payload(1, 2*wholeCheck)
	file := record(t, metaFor(k, 1, body), 10, body)
	copy(file, preamble{format: 2, slotLog: 10}.encode())
	d := openedDisk(t, dir, 64<<20)
	path := d.path(k.sum())
	d.close()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "format"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = openedDisk(t, dir, 64<<20)
	d.scan(nil)
	expectStored(t, d, k, 1, body)
	if err := d.Freshen(k, 1, metaFor(k, 2, body, long(10_000))); err != nil {
		t.Fatal(err)
	}
	expectStored(t, d, k, 2, body)
	flip(t, path, int(bodyOffset(10))+500_000)
	expectStored(t, d, k, 0, nil)
}

// From a client's side: rot in a large body breaks it off, and the next request
// fetches it again.
func TestRotInALargeBodyIsFetchedAgain(t *testing.T) {
	dir := t.TempDir()
	text := string(payload(1, 3*wholeCheck))
	origin := always(200, text, "Cache-Control: max-age=3600")
	restart := func() *Cache {
		c, err := Open(Config{Disk: 64 << 20, Dir: dir, MaxObject: 32 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := restart()
	expect(t, c, query("a", origin), Missed, text)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c = restart()
	defer c.Close()
	flip(t, c.disk.path(query("a", nil).Key.sum()), -100_000)
	a, err := c.Get(t.Context(), query("a", origin))
	if err != nil {
		t.Fatal(err)
	}
	got, err := body(a)
	a.Close()
	if !errors.Is(err, errDamaged) || len(got) == 0 || got != text[:len(got)] {
		t.Errorf("%d bytes and %v", len(got), err)
	}
	expect(t, c, query("a", origin), Missed, text)
	settle(c)
	expect(t, c, query("a", origin), Hit, text)
	origin.want(t, 2)
}
