package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// afterAStart is a disk tier with one large response that nobody has checked.
func afterAStart(t *testing.T, size int) (d *Store, k store.Key, body []byte) {
	t.Helper()
	d = openedDisk(t, t.TempDir(), 64<<20)
	k, body = store.Key{Site: "s", ID: "large"}, storetest.Payload(1, size)
	storetest.Write(t, d, k, storetest.Meta(k, 1, body), body)
	d.Index.SetVerified(k.Sum(), 0)
	return d, k, body
}

// counted counts the bytes that are read.
func counted(d *Store) *atomic.Int64 {
	read, real := new(atomic.Int64), d.sys.Read
	d.sys.Read = func(f *os.File, p []byte, off int64) (int, error) {
		n, err := real(f, p, off)
		read.Add(int64(n))
		return n, err
	}
	return read
}

// The first byte of a large body waits for its chunk and not for the rest, and so
// does a byte in the middle.
func TestFirstByteOfALargeBodyWaitsForItsChunkOnly(t *testing.T) {
	const size = 100*record.ChunkSize + 5
	for _, off := range []int64{0, 1, 50 * record.ChunkSize, 50*record.ChunkSize - 1, size - 1} {
		d, k, body := afterAStart(t, size)
		read := counted(d)
		s := d.Get(k)
		if s == nil {
			t.Fatal("a miss")
		}
		from, err := s.Body.Section(off, s.Size()-off)
		if err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 1)
		if _, err := io.ReadFull(from, one); err != nil || one[0] != body[off] {
			t.Errorf("at %d: %v, or another byte", off, err)
		}
		if n := read.Load(); n > record.FrontSize+record.SumsSize(size)+record.ChunkSize {
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
	d, k, body := afterAStart(t, 20*record.ChunkSize)
	s := d.Get(k)
	defer s.Release()
	for _, part := range []store.Part{{Offset: 7, Size: 10}, {Offset: record.ChunkSize - 3, Size: 2 * record.ChunkSize}, {Offset: 5 * record.ChunkSize, Size: 15 * record.ChunkSize}} {
		from, err := s.Body.Section(part.Offset+1, part.Size-1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(from)
		if err != nil || !bytes.Equal(got, body[part.Offset+1:part.Offset+part.Size]) {
			t.Errorf("%d bytes of %d, and %v", len(got), part.Size-1, err)
		}
	}
}

// A large body that was read to its end is verified; afterwards it goes out by sendfile. A
// read of a part verifies nothing.
func TestALargeBodyReadToItsEndIsVerified(t *testing.T) {
	d, k, body := afterAStart(t, 20*record.ChunkSize)
	for _, step := range []struct {
		off  int64
		file bool
	}{{record.ChunkSize, false}, {0, false}, {0, true}, {7, true}} {
		s := d.Get(k)
		from, err := s.Body.Section(step.off, s.Size()-step.off)
		if err != nil {
			t.Fatal(err)
		}
		if _, file := from.(interface{ InFile() (*os.File, int64) }); file != step.file {
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
	const size = 40*record.ChunkSize + 100
	for _, at := range []int{0, record.ChunkSize - 1, record.ChunkSize, 17*record.ChunkSize + 9, size - 1} {
		d, k, body := afterAStart(t, size)
		before := d.Find(k, k.Sum())
		storetest.Flip(t, d.Path(k.Sum()), at+int(before.Raw.Base))
		before.Release()
		s := d.Get(k)
		if s == nil {
			t.Fatalf("byte %d: a miss", at)
		}
		from, err := s.Body.Section(0, s.Size()-0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(from)
		if !errors.Is(err, record.ErrDamaged) || !bytes.Equal(got, body[:at&^(record.ChunkSize-1)]) {
			t.Errorf("byte %d: %d bytes and %v", at, len(got), err)
		}
		if n, err := s.Body.ReadAt(make([]byte, 10), int64(at)&^(record.ChunkSize-1)); n != 0 || !errors.Is(err, record.ErrDamaged) {
			t.Errorf("byte %d, read at its place: %d bytes and %v", at, n, err)
		}
		s.Release()
		storetest.Expect(t, d, k, 0, nil)
		if d.corrupt.Load() != 1 || d.quarantine.Count() != 0 { // larger than a 64th
			t.Errorf("byte %d: %d corrupt", at, d.corrupt.Load())
		}
		if _, err := os.Stat(d.Path(k.Sum())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("byte %d: still there: %v", at, err)
		}
	}
}

// Sums that are wrong, or a body cut short under a reader.
func TestALargeBodyWithoutItsSums(t *testing.T) {
	t.Run("wrong", func(t *testing.T) {
		d, k, _ := afterAStart(t, record.MaxUnsummed+1)
		storetest.Flip(t, d.Path(k.Sum()), -1)
		storetest.Expect(t, d, k, 0, nil)
		if d.corrupt.Load() != 1 {
			t.Errorf("%d corrupt", d.corrupt.Load())
		}
	})
	t.Run("found by the scrubber", func(t *testing.T) {
		d, k, _ := afterAStart(t, record.MaxUnsummed+1)
		storetest.Flip(t, d.Path(k.Sum()), -1)
		if d.scrubFile(k.Sum(), hasty(d)); d.corrupt.Load() != 1 {
			t.Errorf("%d corrupt", d.corrupt.Load())
		}
	})
	t.Run("cut under a reader", func(t *testing.T) {
		d, k, body := afterAStart(t, record.MaxUnsummed+1)
		s := d.Get(k)
		defer s.Release()
		if err := os.Truncate(d.Path(k.Sum()), 500_000); err != nil {
			t.Fatal(err)
		}
		from, _ := s.Body.Section(0, s.Size()-0)
		got, err := io.ReadAll(from)
		if !errors.Is(err, record.ErrDamaged) || !bytes.Equal(got, body[:len(got)]) {
			t.Errorf("%d bytes and %v", len(got), err)
		}
		storetest.Expect(t, d, k, 0, nil)
	})
	t.Run("cannot be read", func(t *testing.T) {
		d, k, body := afterAStart(t, record.MaxUnsummed+1)
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
		from, _ := s.Body.Section(0, s.Size()-0)
		if _, err := io.ReadAll(from); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v, want EIO", err)
		}
		broken = false
		storetest.Expect(t, d, k, 1, body) // it may be read another time
	})
}

// The sums count as space, also where they begin a block.
func TestSumsAreCounted(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	k := store.Key{Site: "s", ID: "a"}
	w, err := d.Create(k, storetest.Meta(k, 1, nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	body := storetest.Payload(1, int(2*record.MaxUnsummed-w.(*diskWriter).base))
	w.Abort()
	real := d.sys.Rename
	d.sys.Rename = func(from, to string) error {
		info, err := os.Stat(from)
		if err != nil || d.reserved.Load() < onDisk(info.Size()) {
			t.Errorf("%d bytes reserved for %d: %v", d.reserved.Load(), info.Size(), err)
		}
		return real(from, to)
	}
	storetest.Write(t, d, k, storetest.Meta(k, 1, body), body)
	if used, _ := storetest.Files(t, dir); used != d.Used() || used != onDisk(2*record.MaxUnsummed+1) {
		t.Errorf("%d bytes, counted %d", used, d.Used())
	}
}
