package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// slots reads both slots' sequences.
func slots(t *testing.T, path string) (first, second uint64, log uint) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := record.ReadHead(bytes.NewReader(b), int64(len(b)), make([]byte, record.FrontSize))
	if err != nil {
		t.Fatal(err)
	}
	// The sequence of a slot stands behind the length of its Meta, 4 bytes.
	at := func(slot int) uint64 { return binary.LittleEndian.Uint64(b[16+slot<<h.SlotLog+4:]) }
	return at(0), at(1), h.SlotLog
}

func TestRecordFresheningTakesSlotsInTurn(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	key, body := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 100)
	storetest.Write(t, d, key, storetest.Meta(key, 1, body), body)
	path := d.Path(key.Sum())
	for i, want := range [][2]uint64{{1, 0}, {1, 2}, {3, 2}, {3, 4}} {
		first, second, _ := slots(t, path)
		if first != want[0] || second != want[1] {
			t.Fatalf("slots hold %d and %d, want %d", first, second, want)
		}
		storetest.Expect(t, d, key, uint64(i+1), body)
		if err := d.Freshen(key, uint64(i+1), storetest.Meta(key, uint64(i+2), body)); err != nil {
			t.Fatal(err)
		}
	}
}

// A freshening that was cut short, at any byte, leaves the response as it was.
func TestRecordTornSlot(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	key, body := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 100)
	storetest.Write(t, d, key, storetest.Meta(key, 1, body, "X-A: 1"), body)
	if err := d.Freshen(key, 1, storetest.Meta(key, 2, body, "X-A: 2")); err != nil {
		t.Fatal(err)
	}
	path := d.Path(key.Sum())
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Freshen(key, 2, storetest.Meta(key, 3, body, "X-A: 3")); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for at := range after {
		if after[at] == before[at] {
			continue
		}
		changed++
		torn := append(bytes.Clone(after[:at]), before[at:]...)
		h, err := record.ReadHead(bytes.NewReader(torn), int64(len(torn)), make([]byte, record.FrontSize))
		if err != nil || h.Meta.Version != 2 {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
	if changed == 0 {
		t.Error("freshening wrote nothing")
	}
}

// A Meta that outgrows its slot leaves the body where it is, and the file no
// longer than it must be.
func TestFreshenedBeyondItsSlot(t *testing.T) {
	for name, size := range map[string]int{"small body": 100, "body with sums": record.MaxUnsummed + 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openedDisk(t, dir, 64<<20)
			k, body := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, size)
			storetest.Write(t, d, k, storetest.Meta(k, 1, body), body)
			id, longest := uint64(1), int64(0)
			for _, n := range []int{5000, 60_000, 10, 900_000, 1_000_000, 1_000_000, 1_000_000, 20, 60_000, 1_000_000, 30, 40} {
				id++
				if err := d.Freshen(k, id-1, storetest.Meta(k, id, body, storetest.Long(n))); err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
				storetest.Expect(t, d, k, id, body)
				s := d.Find(k, k.Sum())
				if len(s.Header.Get("X-Long")) != n || !s.verified {
					t.Errorf("%d bytes come back as %d, verified %t", n, len(s.Header.Get("X-Long")), s.verified)
				}
				s.Release()
				if used, _ := storetest.Files(t, dir); used != d.Used() || d.reserved.Load() != 0 {
					t.Errorf("%d bytes, counted %d, reserved %d", used, d.Used(), d.reserved.Load())
				} else {
					longest = max(longest, used)
				}
			}
			if longest > onDisk(int64(size)+record.MaxTail+8192) {
				t.Errorf("the file grew to %d bytes", longest)
			}
			d.Close()
			d = openedDisk(t, dir, 64<<20)
			storetest.Expect(t, d, k, id, body)
			d.Scan(nil)
			if used, _ := storetest.Files(t, dir); used != d.Used() {
				t.Errorf("%d bytes, counted %d", used, d.Used())
			}
		})
	}
}

// Cut short at any write, and at any byte of it, it leaves the response as it was.
func TestFreshenedBeyondItsSlotTorn(t *testing.T) {
	k, body := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 100)
	for _, before := range []int{10, 3000} { // the Meta before is in its slot, and behind the body
		d := openedDisk(t, t.TempDir(), 64<<20)
		storetest.Write(t, d, k, storetest.Meta(k, 1, body), body)
		if err := d.Freshen(k, 1, storetest.Meta(k, 2, body, storetest.Long(before))); err != nil {
			t.Fatal(err)
		}
		old, err := os.ReadFile(d.Path(k.Sum()))
		if err != nil {
			t.Fatal(err)
		}
		type written struct {
			bytes []byte
			off   int64
		}
		var writes []written
		real := d.sys.Write
		d.sys.Write = func(f *os.File, p []byte, off int64) (int, error) {
			writes = append(writes, written{bytes.Clone(p), off})
			return real(f, p, off)
		}
		if err := d.Freshen(k, 2, storetest.Meta(k, 3, body, storetest.Long(2000))); err != nil {
			t.Fatal(err)
		}
		writes = writes[len(writes)-2:] // the first are the watermark's
		for i := range writes {
			for n := range len(writes[i].bytes) {
				file := bytes.Clone(old)
				for j, w := range writes[:i+1] {
					if j == i {
						w.bytes = w.bytes[:n]
					}
					if grow := w.off + int64(len(w.bytes)) - int64(len(file)); grow > 0 {
						file = append(file, make([]byte, grow)...)
					}
					copy(file[w.off:], w.bytes)
				}
				h, err := record.ReadHead(bytes.NewReader(file), int64(len(file)), make([]byte, record.FrontSize))
				if err != nil || h.Meta.Version != 2 || len(h.Meta.Header.Get("X-Long")) != before {
					t.Fatalf("write %d cut after %d bytes: %v", i, n, err)
				}
			}
		}
		// After a power cut the slot may be on disk without its tail.
		holes := make([]byte, writes[0].off+int64(len(writes[0].bytes)))
		copy(holes, old)
		for _, file := range [][]byte{bytes.Clone(old), holes} {
			copy(file[writes[1].off:], writes[1].bytes)
			h, err := record.ReadHead(bytes.NewReader(file), int64(len(file)), make([]byte, record.FrontSize))
			if err != nil || h.Meta.Version != 2 {
				t.Errorf("a slot whose Meta never arrived: %v", err)
			}
		}
	}
}

// A response that cannot be freshened stays as it was, and costs another validation.
func TestFreshenedWithoutSpace(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	k, body := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 100)
	storetest.Write(t, d, k, storetest.Meta(k, 1, body), body)
	w, err := d.Create(store.Key{ID: "other"}, storetest.Meta(k, 2, nil), 1<<20-100_000)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := d.Freshen(k, 1, storetest.Meta(k, 2, body, storetest.Long(200_000))); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("got %v, want errNoRoom", err)
	}
	if err := d.Freshen(k, 1, storetest.Meta(k, 2, body, storetest.Long(2<<20))); !errors.Is(err, record.ErrTooLarge) {
		t.Errorf("got %v, want errTooLarge", err)
	}
	storetest.Expect(t, d, k, 1, body)
	if err := d.Freshen(k, 1, storetest.Meta(k, 2, body)); err != nil {
		t.Fatal(err)
	}
	storetest.Expect(t, d, k, 2, body)
}
