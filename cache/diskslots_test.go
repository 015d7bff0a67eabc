package cache

import (
	"bytes"
	"os"
	"testing"

	"pkgedge/cache/store"
)

// slots reads both slots' sequences, 0 for one that does not check out.
func slots(t *testing.T, path string) (first, second uint64, log uint) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := decodePreamble(b)
	if err != nil {
		t.Fatal(err)
	}
	log = p.slotLog
	first, _, _ = decodeSlot(b[preambleSize : preambleSize+1<<log])
	second, _, _ = decodeSlot(b[preambleSize+1<<log : preambleSize+2<<log])
	return first, second, log
}

func TestRecordFresheningTakesSlotsInTurn(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	key, body := store.Key{Site: "s", ID: "a"}, payload(1, 100)
	write(t, d, key, metaFor(key, 1, body), body)
	path := d.path(key.Sum())
	for i, want := range [][2]uint64{{1, 0}, {1, 2}, {3, 2}, {3, 4}} {
		first, second, _ := slots(t, path)
		if first != want[0] || second != want[1] {
			t.Fatalf("slots hold %d and %d, want %d", first, second, want)
		}
		expectStored(t, d, key, uint64(i+1), body)
		if err := d.Freshen(key, uint64(i+1), metaFor(key, uint64(i+2), body)); err != nil {
			t.Fatal(err)
		}
	}
}

// A freshening that was cut short, at any byte, leaves the response as it was.
func TestRecordTornSlot(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 1<<20)
	key, body := store.Key{Site: "s", ID: "a"}, payload(1, 100)
	write(t, d, key, metaFor(key, 1, body, "X-A: 1"), body)
	if err := d.Freshen(key, 1, metaFor(key, 2, body, "X-A: 2")); err != nil {
		t.Fatal(err)
	}
	path := d.path(key.Sum())
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Freshen(key, 2, metaFor(key, 3, body, "X-A: 3")); err != nil {
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
		h, err := readHead(bytes.NewReader(torn), int64(len(torn)), make([]byte, frontSize))
		if err != nil || h.meta.ID != 2 {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
	if changed == 0 {
		t.Error("freshening wrote nothing")
	}
}
