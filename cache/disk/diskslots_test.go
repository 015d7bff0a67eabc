package disk

import (
	"bytes"
	"encoding/binary"
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
		if err != nil || h.Meta.ID != 2 {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
	if changed == 0 {
		t.Error("freshening wrote nothing")
	}
}
