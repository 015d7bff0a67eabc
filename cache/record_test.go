package cache

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
)

// record is a whole file: its head and its body.
func record(t testing.TB, m *store.Meta, slotLog uint, body []byte) []byte {
	t.Helper()
	raw := encodeMeta(m)
	b := make([]byte, bodyOffset(slotLog))
	copy(b, preamble{format: recordFormat, slotLog: slotLog}.encode())
	if n := copy(b[preambleSize:preambleSize+1<<slotLog], encodeSlot(1, raw)); n < slotHead+len(raw) {
		t.Fatal("slot is too small")
	}
	return append(b, body...)
}

func TestRecordRoundTrip(t *testing.T) {
	key := store.Key{Site: "s", ID: "a"}
	for _, n := range []int{0, 1, 511, 512, 5000} {
		for _, log := range []uint{10, 12, 13, 16} {
			body := payload(n, n)
			m := metaFor(key, 7, body, `Etag: "a"`, "X-A: 1", "X-A: 2", "Cache-Control: max-age=60")
			m.Vary = []string{"Accept", "\x00"}
			file := record(t, m, log, body)
			h, err := readHead(bytes.NewReader(file), int64(len(file)), make([]byte, frontSize))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(h.meta, m) || h.slot != 0 || h.seq != 1 || h.slotLog != log {
				t.Errorf("slot 1<<%d, body %d: got %+v, want %+v", log, n, h.meta, m)
			}
		}
	}
}

func TestRecordBodyBeginsAtASector(t *testing.T) {
	for log := uint(minSlotLog); log <= maxSlotLog; log++ {
		if at := bodyOffset(log); at%512 != 0 || at < preambleSize+2<<log {
			t.Errorf("slot 1<<%d: body at %d", log, at)
		}
	}
	for _, n := range []int{0, 1, 390, 400, 1 << 10, 100 << 10, 800 << 10} {
		log, err := slotLogFor(n)
		if err != nil || slotHead+n > 1<<log {
			t.Errorf("%d bytes do not fit 1<<%d: %v", n, log, err)
		}
	}
	if _, err := slotLogFor(1 << 20); !errors.Is(err, errTooLarge) {
		t.Errorf("a Meta of 1 MiB: %v, want errTooLarge", err)
	}
}

// Whatever byte of the head is wrong, the Meta that comes out is the one that
// went in, or none.
func TestRecordFlippedByte(t *testing.T) {
	body := payload(1, 100)
	m := metaFor(store.Key{Site: "s", ID: "a"}, 7, body, `Etag: "a"`)
	file := record(t, m, 10, body)
	for at := range bodyOffset(10) {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(file)
			bad[at] ^= mask
			h, err := readHead(bytes.NewReader(bad), int64(len(bad)), make([]byte, frontSize))
			if err == nil && !reflect.DeepEqual(h.meta, m) {
				t.Fatalf("byte %d ^ %#x gives %+v", at, mask, h.meta)
			}
			if err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, errNotRecord) && !errors.Is(err, errFormat) {
				t.Fatalf("byte %d ^ %#x: %v", at, mask, err)
			}
		}
	}
}

func TestRecordTruncated(t *testing.T) {
	body := payload(1, 100)
	m := metaFor(store.Key{Site: "s", ID: "a"}, 7, body)
	for _, log := range []uint{10, 12} { // within the first read, and beyond it
		file := record(t, m, log, body)
		for n := range len(file) {
			if h, err := readHead(bytes.NewReader(file[:n]), int64(n), make([]byte, frontSize)); err == nil {
				t.Fatalf("%d of %d bytes give %+v", n, len(file), h.meta)
			}
		}
		longer := append(bytes.Clone(file), make([]byte, maxTail+1)...)
		if _, err := readHead(bytes.NewReader(longer), int64(len(longer)), make([]byte, frontSize)); !errors.Is(err, errDamaged) {
			t.Errorf("longer than any freshening leaves it: %v", err)
		}
		longer = longer[:len(longer)-1]
		if _, err := readHead(bytes.NewReader(longer), int64(len(longer)), make([]byte, frontSize)); err != nil {
			t.Errorf("what a freshening cut short leaves: %v", err)
		}
	}
}

func TestRecordOfAnotherFormat(t *testing.T) {
	body := payload(1, 100)
	file := record(t, metaFor(store.Key{}, 1, body), 10, body)
	file[4]++
	binary.LittleEndian.PutUint32(file[12:], crc32.Checksum(file[:12], crc32c))
	if _, err := readHead(bytes.NewReader(file), int64(len(file)), make([]byte, frontSize)); !errors.Is(err, errFormat) {
		t.Errorf("got %v, want errFormat", err)
	}
}

// A head that checks out and makes no sense was written by nobody, and is still
// a miss rather than a panic.
func TestRecordThatMakesNoSense(t *testing.T) {
	body := payload(1, 100)
	for name, change := range map[string]func(*store.Meta){
		"negative size":    func(m *store.Meta) { m.Parts = []store.Part{{Size: -1}, {Offset: 0, Size: 101}} },
		"negative offset":  func(m *store.Meta) { m.Parts[0].Offset = -1 },
		"part beyond body": func(m *store.Meta) { m.Parts[0].Offset = 1 },
		"odd Vary":         func(m *store.Meta) { m.Vary = []string{"Accept"} },
	} {
		t.Run(name, func(t *testing.T) {
			m := metaFor(store.Key{Site: "s", ID: "a"}, 7, body)
			change(m)
			file := record(t, m, 10, body)
			if _, err := readHead(bytes.NewReader(file), int64(len(file)), make([]byte, frontSize)); !errors.Is(err, errDamaged) {
				t.Errorf("got %v, want errDamaged", err)
			}
		})
	}
}

// FuzzReadHead: no file makes the reader panic, and what is accepted stays
// within the file.
func FuzzReadHead(f *testing.F) {
	body := payload(1, 100)
	m := metaFor(store.Key{Site: "s", ID: "a"}, 7, body, `Etag: "a"`)
	f.Add(record(f, m, 10, body), []byte(nil))
	f.Add([]byte("pkge"), []byte(`{"parts":[{"size":-1},{"size":5}]}`))
	f.Add(encodeMeta(m), encodeAway(bodyOffset(10), encodeMeta(m)))
	f.Fuzz(func(t *testing.T, file, meta []byte) {
		if slotHead+len(meta) <= 1<<10 && len(meta) > 0 { // a head with the right checksums
			b := make([]byte, bodyOffset(10))
			copy(b, preamble{format: recordFormat, slotLog: 10}.encode())
			copy(b[preambleSize:], encodeSlot(1, meta))
			file = append(b, file...)
		}
		h, err := readHead(bytes.NewReader(file), int64(len(file)), make([]byte, frontSize))
		if err != nil {
			return
		}
		front := bodyOffset(h.slotLog)
		if h.end() < front+h.meta.Size() || h.end() > int64(len(file)) {
			t.Errorf("body of %d bytes after %d in a file of %d", h.meta.Size(), front, len(file))
		}
		store.Intact(h.meta, file[front:])
		h.meta.Selects(nil)
		h.meta.Freshened(http.Header{"X-A": {"1"}}, policytest.Epoch, policytest.Epoch)
		policy.Decide(policytest.Epoch, &h.meta.Response, policy.NotMarked, policy.Rule{}, policy.Request{Method: "GET", Control: policy.NoDirectives()})
	})
}
