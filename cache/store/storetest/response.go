package storetest

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
)

// Payload returns n bytes of a seed.
func Payload(seed, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// Meta is the Meta of a one-part response.
func Meta(k store.Key, id uint64, body []byte, lines ...string) *store.Meta {
	m := &store.Meta{
		Site: k.Site, Key: k.ID, Version: id,
		Response: policy.Response{
			Status: http.StatusOK, Header: policytest.Fields(lines...),
			RequestTime: policytest.Epoch, ResponseTime: policytest.Epoch,
		},
		Parts: []store.Part{{Size: int64(len(body)), CRC: crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))}},
	}
	m.Measure()
	return m
}

// Write makes a stored response of one part.
func Write(t testing.TB, s store.Store, k store.Key, m *store.Meta, body []byte) {
	t.Helper()
	w, err := s.Create(k, m, int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(m); err != nil {
		t.Fatal(err)
	}
}

// Bytes reads a stored response's whole body.
func Bytes(t testing.TB, s *store.Entry) []byte {
	t.Helper()
	b := make([]byte, s.Size())
	if n, err := s.Body.ReadAt(b, 0); n < len(b) {
		t.Fatalf("%d of %d bytes: %v", n, len(b), err)
	}
	return b
}

// Expect fails the test unless the store answers so; nil is a miss.
func Expect(t testing.TB, s store.Store, k store.Key, id uint64, want []byte) {
	t.Helper()
	have := s.Get(k)
	if have == nil {
		if want != nil {
			t.Errorf("%q is not stored", k.ID)
		}
		return
	}
	defer have.Release()
	if want == nil {
		t.Errorf("%q is stored", k.ID)
		return
	}
	if have.Version != id || !bytes.Equal(Bytes(t, have), want) {
		t.Errorf("%q has ID %d and %d bytes, want ID %d and other bytes", k.ID, have.Version, have.Size(), id)
	}
}

// Long is a field of n bytes.
func Long(n int) string { return "X-Long: " + strings.Repeat("x", n) }
