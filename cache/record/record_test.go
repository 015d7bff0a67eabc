package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"reflect"
	"testing"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// record is a whole file: its head and its body.
func record(t testing.TB, m *store.Meta, slotLog uint, body []byte) []byte {
	t.Helper()
	raw := EncodeMeta(m)
	b := make([]byte, BodyOffset(slotLog))
	copy(b, preamble{SlotLog: slotLog}.encode())
	if n := copy(b[preambleSize:preambleSize+1<<slotLog], encodeSlot(1, raw)); n < slotHead+len(raw) {
		t.Fatal("slot is too small")
	}
	return append(b, body...)
}

func TestRecordRoundTrip(t *testing.T) {
	key := store.Key{Site: "s", ID: "a"}
	for _, n := range []int{0, 1, 511, 512, 5000} {
		for _, log := range []uint{10, 12, 13, 16} {
			body := storetest.Payload(n, n)
			m := storetest.Meta(key, 7, body, `Etag: "a"`, "X-A: 1", "X-A: 2", "Cache-Control: max-age=60")
			m.Vary = []string{"Accept", "\x00"}
			file := record(t, m, log, body)
			h, err := ReadHead(bytes.NewReader(file), int64(len(file)), make([]byte, FrontSize))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(h.Meta, m) || h.slot != 0 || h.seq != 1 || h.SlotLog != log {
				t.Errorf("slot 1<<%d, body %d: got %+v, want %+v", log, n, h.Meta, m)
			}
		}
	}
}

func TestRecordBodyBeginsAtASector(t *testing.T) {
	for log := uint(minSlotLog); log <= MaxSlotLog; log++ {
		if at := BodyOffset(log); at%512 != 0 || at < preambleSize+2<<log {
			t.Errorf("slot 1<<%d: body at %d", log, at)
		}
	}
	for _, n := range []int{0, 1, 390, 400, 1 << 10, 100 << 10, 800 << 10} {
		log, err := SlotLogFor(n)
		if err != nil || slotHead+n > 1<<log {
			t.Errorf("%d bytes do not fit 1<<%d: %v", n, log, err)
		}
	}
	if _, err := SlotLogFor(1 << 20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a Meta of 1 MiB: %v, want errTooLarge", err)
	}
}

// With any wrong byte in the head, the decoded Meta is the encoded one, or none.
func TestRecordFlippedByte(t *testing.T) {
	body := storetest.Payload(1, 100)
	m := storetest.Meta(store.Key{Site: "s", ID: "a"}, 7, body, `Etag: "a"`)
	file := record(t, m, 10, body)
	for at := range BodyOffset(10) {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(file)
			bad[at] ^= mask
			h, err := ReadHead(bytes.NewReader(bad), int64(len(bad)), make([]byte, FrontSize))
			if err == nil && !reflect.DeepEqual(h.Meta, m) {
				t.Fatalf("byte %d ^ %#x gives %+v", at, mask, h.Meta)
			}
			if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotRecord) && !errors.Is(err, errFormat) {
				t.Fatalf("byte %d ^ %#x: %v", at, mask, err)
			}
		}
	}
}

func TestRecordTruncated(t *testing.T) {
	body := storetest.Payload(1, 100)
	m := storetest.Meta(store.Key{Site: "s", ID: "a"}, 7, body)
	for _, log := range []uint{10, 12} { // within the first read, and beyond it
		file := record(t, m, log, body)
		for n := range len(file) {
			if h, err := ReadHead(bytes.NewReader(file[:n]), int64(n), make([]byte, FrontSize)); err == nil {
				t.Fatalf("%d of %d bytes give %+v", n, len(file), h.Meta)
			}
		}
		longer := append(bytes.Clone(file), make([]byte, MaxTail+1)...)
		if _, err := ReadHead(bytes.NewReader(longer), int64(len(longer)), make([]byte, FrontSize)); !errors.Is(err, ErrDamaged) {
			t.Errorf("longer than any freshening leaves it: %v", err)
		}
		longer = longer[:len(longer)-1]
		if _, err := ReadHead(bytes.NewReader(longer), int64(len(longer)), make([]byte, FrontSize)); err != nil {
			t.Errorf("what a freshening cut short leaves: %v", err)
		}
	}
}

func TestRecordOfAnotherFormat(t *testing.T) {
	body := storetest.Payload(1, 100)
	file := record(t, storetest.Meta(store.Key{}, 1, body), 10, body)
	file[4]++
	binary.LittleEndian.PutUint32(file[12:], crc32.Checksum(file[:12], crc32c))
	if _, err := ReadHead(bytes.NewReader(file), int64(len(file)), make([]byte, FrontSize)); !errors.Is(err, errFormat) {
		t.Errorf("got %v, want errFormat", err)
	}
}

// A head that checks out and makes no sense was written by nobody, and is still
// a miss rather than a panic.
func TestRecordThatMakesNoSense(t *testing.T) {
	body := storetest.Payload(1, 100)
	for name, change := range map[string]func(*store.Meta){
		"negative size":    func(m *store.Meta) { m.Parts = []store.Part{{Size: -1}, {Offset: 0, Size: 101}} },
		"negative offset":  func(m *store.Meta) { m.Parts[0].Offset = -1 },
		"part beyond body": func(m *store.Meta) { m.Parts[0].Offset = 1 },
		"odd Vary":         func(m *store.Meta) { m.Vary = []string{"Accept"} },
	} {
		t.Run(name, func(t *testing.T) {
			m := storetest.Meta(store.Key{Site: "s", ID: "a"}, 7, body)
			change(m)
			file := record(t, m, 10, body)
			if _, err := ReadHead(bytes.NewReader(file), int64(len(file)), make([]byte, FrontSize)); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want errDamaged", err)
			}
		})
	}
}

// FuzzReadHead: no file makes the reader panic, and an accepted body stays
// within the file.
func FuzzReadHead(f *testing.F) {
	body := storetest.Payload(1, 100)
	m := storetest.Meta(store.Key{Site: "s", ID: "a"}, 7, body, `Etag: "a"`)
	f.Add(record(f, m, 10, body), []byte(nil))
	f.Add([]byte("pkge"), []byte(`{"parts":[{"size":-1},{"size":5}]}`))
	f.Add(EncodeMeta(m), EncodeTailSlot(BodyOffset(10), EncodeMeta(m)))
	f.Fuzz(func(t *testing.T, file, meta []byte) {
		if slotHead+len(meta) <= 1<<10 && len(meta) > 0 { // a head with the right checksums
			b := make([]byte, BodyOffset(10))
			copy(b, preamble{SlotLog: 10}.encode())
			copy(b[preambleSize:], encodeSlot(1, meta))
			file = append(b, file...)
		}
		h, err := ReadHead(bytes.NewReader(file), int64(len(file)), make([]byte, FrontSize))
		if err != nil {
			return
		}
		front := BodyOffset(h.SlotLog)
		if h.End() < front+h.Meta.Size() || h.End() > int64(len(file)) {
			t.Errorf("body of %d bytes after %d in a file of %d", h.Meta.Size(), front, len(file))
		}
		store.Intact(h.Meta, file[front:])
		h.Meta.Selects(nil)
		h.Meta.Freshened(http.Header{"X-A": {"1"}}, policytest.Epoch, policytest.Epoch)
		policy.Decide(policytest.Epoch, &h.Meta.Response, policy.NotMarked, policy.Rule{}, policy.Request{Method: "GET", Control: policy.NoDirectives()})
	})
}
