package tier

import (
	"errors"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"pkgedge/cache/budget"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/memory"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// But not when the disk has another response by now.
func TestValidationOfAReplacedResponseIsRefused(t *testing.T) {
	m, d := openedMemory(t), openedDisk(t, t.TempDir(), 1<<20)
	s := tiersOf(m, d)
	k, one, two := store.Key{Site: "s", ID: "a"}, []byte("one"), []byte("two")
	storetest.Write(t, s, k, storetest.Meta(k, 1, one), one)
	m.Wait()
	storetest.Write(t, d, k, storetest.Meta(k, 2, two), two)
	if err := s.Freshen(k, 1, storetest.Meta(k, 3, one)); !errors.Is(err, store.ErrGone) {
		t.Errorf("err = %v", err)
	}
	m.Wait()
	storetest.Expect(t, s, k, 2, two)
}

// A response that was written to memory during a pause is refused when the disk has a newer
// one by then.
func TestTiersNeverAnswerWithTheOlderOfTwo(t *testing.T) {
	synctest.Test(t, neverAnswerWithTheOlderOfTwo)
}

func neverAnswerWithTheOlderOfTwo(t *testing.T) {
	h := fsystest.NewHooks()
	m, d := openedMemory(t), hookedDisk(t, h)
	s := tiersOf(m, d)
	k, one, two := store.Key{Site: "s", ID: "a"}, []byte("one"), []byte("two")
	mend := storetest.Pause(t, d, h)
	w, err := s.Create(k, storetest.Meta(k, 1, one), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	w.Write(one)
	mend()
	storetest.Write(t, d, k, storetest.Meta(k, 2, two), two) // and no copy in memory
	if err := w.Commit(storetest.Meta(k, 1, one)); !errors.Is(err, store.ErrGone) {
		t.Errorf("err = %v; want errGone", err)
	}
	storetest.Expect(t, s, k, 2, two)
}

// One that memory has all the same is forgotten when it turns out, and does not
// cost each hit a file.
func TestTiersForgetWhatIsOlderThanTheDisk(t *testing.T) {
	h := fsystest.NewHooks()
	m, d := openedMemory(t), hookedDisk(t, h)
	s := tiersOf(m, d)
	k, one, two := store.Key{Site: "s", ID: "a"}, []byte("one"), []byte("two")
	storetest.Write(t, d, k, storetest.Meta(k, 2, two), two)
	m.Put(k, storetest.Meta(k, 1, one), one, true)
	m.Wait()
	files, open := 0, h.Open
	h.Open = func(path string, flag int) (*os.File, error) {
		if flag&os.O_CREATE != 0 {
			files++
		}
		return open(path, flag)
	}
	s.Get(k).Release() // finds out
	for range 3 {
		storetest.Expect(t, s, k, 2, two)
	}
	if files != 1 {
		t.Errorf("%d files were begun", files)
	}
}

// A response that left memory is not written to disk: Contains was false meanwhile.
func TestWhatLeftMemoryIsNotWritten(t *testing.T) {
	m, d := openedMemory(t), openedDisk(t, t.TempDir(), 1<<20)
	var later func()
	s := &Store{Memory: m, Disk: d, Background: func(work func()) bool { later = work; return true }}
	k := store.Key{Site: "s", ID: "a"}
	m.Put(k, storetest.Meta(k, 1, []byte("A")), []byte("A"), true)
	m.Wait()
	s.Get(k).Release()
	m.Forget(k.Sum())
	later()
	storetest.Expect(t, d, k, 0, nil)
	if s.saving.Load() {
		t.Error("nothing else is ever written")
	}
}

// A file that is evicted while it is read is not kept in memory: Contains may have said
// no meanwhile, and then nobody purges it.
func TestWhatIsEvictedWhileItIsReadIsNotPromoted(t *testing.T) {
	h := fsystest.NewHooks()
	m, d := openedMemory(t), hookedDisk(t, h)
	s := tiersOf(m, d)
	k, b := store.Key{Site: "s", ID: "a"}, []byte("body")
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	read, once := h.Read, false
	h.Read = func(f *os.File, p []byte, off int64) (int, error) {
		n, err := read(f, p, off)
		if !once && strings.Contains(f.Name(), "objects") {
			once = true
			storetest.EvictAll(t, d)
			if m.Has(k.Sum()) || d.Has(k.Sum()) {
				t.Error("still held")
			}
		}
		return n, err
	}
	storetest.Expect(t, s, k, 1, b) // the reader that opened it may have it
	m.Wait()
	storetest.Expect(t, s, k, 0, nil)
	if m.Has(k.Sum()) {
		t.Error("memory has it")
	}
}

func TestNothingIsSavedAfterClose(t *testing.T) {
	m, d := openedMemory(t), openedDisk(t, t.TempDir(), 1<<20)
	s := &Store{Memory: m, Disk: d, Background: func(func()) bool { return false }}
	k := store.Key{Site: "s", ID: "a"}
	m.Put(k, storetest.Meta(k, 1, []byte("A")), []byte("A"), true)
	m.Wait()
	storetest.Expect(t, s, k, 1, []byte("A"))
	storetest.Expect(t, d, k, 0, nil)
	if s.saving.Load() {
		t.Error("nothing else is ever written")
	}
}

// Of two fetches for a key, the one that began first may end last.
func TestCommitOfAnOlderResponseIsRefused(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"disk": func(t *testing.T) store.Store { return openedDisk(t, t.TempDir(), 8<<20) },
		"tiers": func(t *testing.T) store.Store {
			return tiersOf(openedMemory(t), openedDisk(t, t.TempDir(), 8<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			k := store.Key{Site: "s", ID: "a"}
			first, second := storetest.Payload(1, 1000), storetest.Payload(2, 2000)
			w, err := s.Create(k, storetest.Meta(k, 1, first), -1)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			w.Write(first)
			storetest.Write(t, s, k, storetest.Meta(k, 2, second), second)
			if err := w.Commit(storetest.Meta(k, 1, first)); !errors.Is(err, store.ErrGone) {
				t.Errorf("got %v, want errGone", err)
			}
			storetest.Expect(t, s, k, 2, second)
		})
	}
}

// Memory has copies of small responses alone, from their commit on or from their first hit
// after a start: others are sent from their open files.
func TestMemoryHasCopiesOfSmallResponses(t *testing.T) {
	for _, tt := range []struct {
		size, parts int
		small       bool
	}{{0, 1, true}, {copied, 1, true}, {copied + 1, 1, false}, {record.MaxUnsummed + 1, 1, false}, {3 * copied, 3, true}, {3*copied + 3, 3, false}} {
		m, err := memory.New(budget.Shares{Tier: 256 << 20, InFlight: 32 << 20}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		dir, k, b := t.TempDir(), store.Key{Site: "s", ID: "a"}, storetest.Payload(1, tt.size)
		meta := storetest.Meta(k, 1, b)
		meta.Parts = nil
		for i := range tt.parts {
			off, size := i*tt.size/tt.parts, tt.size/tt.parts
			sum := crc32.Checksum(b[off:off+size], crc32.MakeTable(crc32.Castagnoli))
			meta.Parts = append(meta.Parts, store.Part{Variant: strconv.Itoa(i), Offset: int64(off), Size: int64(size), CRC: sum})
		}
		d := openedDisk(t, dir, 64<<20)
		storetest.Write(t, tiersOf(m, d), k, meta, b)
		for _, when := range []string{"its commit", "a hit after a start"} {
			m.Wait()
			if in := m.Get(k); (in != nil) != tt.small {
				t.Errorf("%d bytes in %d parts: in memory behind %s: %t", tt.size, tt.parts, when, in != nil)
			}
			m.Forget(k.Sum())
			d.Close()
			d = openedDisk(t, dir, 64<<20)
			storetest.Expect(t, tiersOf(m, d), k, 1, b)
		}
	}
}
