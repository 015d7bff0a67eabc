package record

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func TestMetaRoundTrip(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	for name, m := range map[string]*store.Meta{
		"empty": {Response: policy.Response{Header: map[string][]string{}}, Parts: []store.Part{}},
		"all of it": {
			Site: "npm", Key: "caf\xe9\x00", Version: 1<<64 - 1, PurgeEpoch: 7, From: "https://a.example",
			Response: policy.Response{
				Status:      299,
				Header:      map[string][]string{"X-A": {"1", "", "<\xff\u2028>"}, "Etag": {`"x"`}, "X-None": {}},
				RequestTime: at, ResponseTime: at.Add(-200 * 365 * 24 * time.Hour),
				Vary: []string{"Accept", "\x00"},
				Span: &policy.Span{First: 10, Total: -1, Size: 1<<40 - 1},
			},
			Parts: []store.Part{{Variant: "full", Encoding: "zstd", ContentType: "a/b", ETag: `"e"`, Size: 1 << 40, CRC: 1<<32 - 1}, {Offset: 1 << 40, Size: -1}},
		},
		"long": {Response: policy.Response{Header: map[string][]string{"X": {strings.Repeat("y", 100_000)}}}, Parts: []store.Part{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := EncodeMeta(m)
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
	raw := EncodeMeta(storetest.Meta(store.Key{Site: "s", ID: "a"}, 1, []byte("x"), `Etag: "a"`, "X-A: 1", "X-A: 2"))
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
// a decoded Meta survives a round trip.
func FuzzDecodeMeta(f *testing.F) {
	f.Add(EncodeMeta(storetest.Meta(store.Key{Site: "s", ID: "a"}, 1, []byte("x"), `Etag: "a"`)))
	f.Add([]byte(`{"key":"a"}`))
	f.Add([]byte{metaFormat, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeMeta(raw)
		if err != nil || raw[0] == '{' {
			return
		}
		again, err := decodeMeta(EncodeMeta(m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("got %+v and %v, want %+v", again, err, m)
		}
	})
}
