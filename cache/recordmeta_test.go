package cache

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pkgedge/cache/policy"
)

func TestMetaRoundTrip(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	for name, m := range map[string]*Meta{
		"empty": {Response: policy.Response{Header: map[string][]string{}}, Parts: []Part{}},
		"all of it": {
			Site: "npm", Key: "caf\xe9\x00", ID: 1<<64 - 1, Born: 7, Authorized: true,
			Response: policy.Response{
				Status:      299,
				Header:      map[string][]string{"X-A": {"1", "", "<\xff\u2028>"}, "Etag": {`"x"`}, "X-None": {}},
				RequestTime: at, ResponseTime: at.Add(-200 * 365 * 24 * time.Hour),
				Vary: []string{"Accept", "\x00"},
				Span: &policy.Span{First: 10, Total: -1, Size: 1<<40 - 1},
			},
			Parts: []Part{{"full", "zstd", "a/b", `"e"`, 0, 1 << 40, 1<<32 - 1}, {Offset: 1 << 40, Size: -1}},
		},
		"long": {Response: policy.Response{Header: map[string][]string{"X": {strings.Repeat("y", 100_000)}}}, Parts: []Part{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := encodeMeta(m)
			have, err := decodeMeta(raw)
			if err != nil || !reflect.DeepEqual(have, m) {
				t.Errorf("got %+v and %v, want %+v", have, err, m)
			}
			clear(raw) // nothing of it is kept
			if !reflect.DeepEqual(have, m) {
				t.Error("changes with the buffer it was read from")
			}
		})
	}
}

func TestMetaCutShortIsDamage(t *testing.T) {
	raw := encodeMeta(metaFor(Key{Site: "s", ID: "a"}, 1, []byte("x"), `Etag: "a"`, "X-A: 1", "X-A: 2"))
	for n := range raw {
		if m, err := decodeMeta(raw[:n]); err == nil {
			t.Fatalf("%d of %d bytes give %+v", n, len(raw), m)
		}
	}
	if _, err := decodeMeta(append(raw, 0)); err == nil {
		t.Error("one byte too many is taken")
	}
}

// FuzzDecodeMeta: no slot makes the reader panic or allocate without bound, and
// what is read is written back alike.
func FuzzDecodeMeta(f *testing.F) {
	f.Add(encodeMeta(metaFor(Key{Site: "s", ID: "a"}, 1, []byte("x"), `Etag: "a"`)))
	f.Add([]byte(`{"key":"a"}`))
	f.Add([]byte{metaFormat, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeMeta(raw)
		if err != nil || raw[0] == '{' {
			return
		}
		again, err := decodeMeta(encodeMeta(m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("got %+v and %v, want %+v", again, err, m)
		}
	})
}

// An edge of format 1 wrote JSON. It is served, and freshening makes it format 2.
func TestRecordOfFormatOneIsUpgraded(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 1<<20)
	k, body := Key{Site: "s", ID: "a"}, payload(1, 1000)
	write(t, d, k, metaFor(k, 1, body, "X-A: 1"), body)
	raw, err := json.Marshal(metaFor(k, 1, body, "X-A: 1"))
	if err != nil {
		t.Fatal(err)
	}
	old := make([]byte, bodyOffset(10))
	copy(old, preamble{format: 1, slotLog: 10}.encode())
	copy(old[preambleSize:], encodeSlot(1, raw))
	d.close()
	if err := os.WriteFile(d.path(k.sum()), append(old, body...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/format", []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = openedDisk(t, dir, 1<<20)
	expectStored(t, d, k, 1, body)
	if err := d.Freshen(k, 1, metaFor(k, 2, body, "X-A: 2")); err != nil {
		t.Fatal(err)
	}
	expectStored(t, d, k, 2, body)
	file, err := os.ReadFile(d.path(k.sum()))
	if err != nil || !bytes.Contains(file, encodeMeta(metaFor(k, 2, body, "X-A: 2"))) {
		t.Errorf("not upgraded: %v", err)
	}
	if format, _ := os.ReadFile(dir + "/format"); string(format) != "3\n" {
		t.Errorf("the directory says format %q", format)
	}
}
