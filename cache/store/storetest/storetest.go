package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
)

// Suite opens a Store, and returns a wait for its asynchronous writes.
type Suite func(t *testing.T) (store.Store, func())

// Test is the contract of Store.
func Test(t *testing.T, open Suite) {
	key := store.Key{Site: "s", ID: "a"}
	one, two := Payload(1, 3000), Payload(2, 5000)

	t.Run("nothing is stored at first", func(t *testing.T) {
		s, _ := open(t)
		Expect(t, s, key, 0, nil)
	})

	t.Run("visible at Commit, all at once, and never before", func(t *testing.T) {
		s, wait := open(t)
		m := Meta(key, 1, one, `Etag: "a"`)
		w, err := s.Create(key, m, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for _, half := range [][]byte{one[:1000], one[1000:]} {
			if n, err := w.Write(half); n != len(half) || err != nil {
				t.Fatal(n, err)
			}
			Expect(t, s, key, 0, nil)
		}
		if err := w.Commit(m); err != nil {
			t.Fatal(err)
		}
		wait()
		Expect(t, s, key, 1, one)
		have := s.Get(key)
		defer have.Release()
		if have.Header.Get("Etag") != `"a"` || have.Status != 200 || !have.ResponseTime.Equal(policytest.Epoch) {
			t.Errorf("other fields came back: %+v", have.Meta)
		}
	})

	t.Run("the Writer reads what was written, while writing", func(t *testing.T) {
		s, _ := open(t)
		w, err := s.Create(key, Meta(key, 1, one), int64(len(one)))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for at := 0; at < len(one); at += 500 {
			if _, err := w.Write(one[at : at+500]); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, at+500)
			if n, err := w.ReadAt(got, 0); n != len(got) || err != nil && err != io.EOF || !bytes.Equal(got, one[:at+500]) {
				t.Fatalf("%d bytes and %v after %d were written", n, err, at+500)
			}
		}
		if n, err := w.ReadAt(make([]byte, 10), int64(len(one))-4); n != 4 || err != io.EOF {
			t.Errorf("%d bytes and %v at the end, want 4 and EOF", n, err)
		}
	})

	t.Run("a committed Writer stays readable until Abort", func(t *testing.T) {
		s, _ := open(t)
		m := Meta(key, 1, one)
		w, err := s.Create(key, m, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		w.Write(one)
		if err := w.Commit(m); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(one))
		if _, err := w.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, one) {
			t.Errorf("cannot be read: %v", err)
		}
	})

	t.Run("Abort leaves nothing", func(t *testing.T) {
		s, wait := open(t)
		w, err := s.Create(key, Meta(key, 1, one), -1)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(one)
		w.Abort()
		wait()
		Expect(t, s, key, 0, nil)
	})

	t.Run("Abort leaves what was there before", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one), one)
		w, err := s.Create(key, Meta(key, 2, two), -1)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(two)
		w.Abort()
		wait()
		Expect(t, s, key, 1, one)
	})

	t.Run("a body that is not what its Meta says is not stored whole", func(t *testing.T) {
		s, wait := open(t)
		m := Meta(key, 1, one)
		w, err := s.Create(key, m, -1)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(one[:2999])
		err = w.Commit(m)
		w.Abort()
		wait()
		if err == nil {
			t.Error("a short body was committed")
		}
		Expect(t, s, key, 0, nil)
	})

	t.Run("an empty body", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, nil), nil)
		wait()
		Expect(t, s, key, 1, []byte{})
	})

	t.Run("several parts", func(t *testing.T) {
		s, wait := open(t)
		m := Meta(key, 1, append(bytes.Clone(one), two...))
		m.Parts = []store.Part{
			{Variant: "full", Size: 3000, CRC: Meta(key, 1, one).Parts[0].CRC},
			{Variant: "abbreviated", Encoding: "zstd", ETag: `"x"`, Offset: 3000, Size: 5000, CRC: Meta(key, 1, two).Parts[0].CRC},
		}
		w, err := s.Create(key, &store.Meta{Parts: make([]store.Part, 2)}, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		w.Write(one)
		w.Write(two)
		if err := w.Commit(m); err != nil {
			t.Fatal(err)
		}
		wait()
		have := s.Get(key)
		if have == nil {
			t.Fatal("not stored")
		}
		defer have.Release()
		if !store.SameBytes(have.Meta, m) || !bytes.Equal(Bytes(t, have)[3000:], two) {
			t.Errorf("parts %+v", have.Parts)
		}
	})

	t.Run("never another key's", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one), one)
		wait()
		for _, k := range []store.Key{{Site: "s", ID: "b"}, {Site: "t", ID: "a"}, {Site: "s\x00a"}, {ID: "s\x00a"}, {Site: "s", ID: ""}} {
			Expect(t, s, k, 0, nil)
		}
	})

	t.Run("what was last committed", func(t *testing.T) {
		s, wait := open(t)
		for id := range uint64(50) {
			Write(t, s, key, Meta(key, id+1, one[:id]), one[:id])
		}
		wait()
		Expect(t, s, key, 50, one[:49])
	})

	t.Run("a reader survives replacement and removal", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one), one)
		wait()
		before := s.Get(key)
		if before == nil {
			t.Fatal("not stored")
		}
		defer before.Release()
		Write(t, s, key, Meta(key, 2, two), two)
		wait()
		if before.ID != 1 || !bytes.Equal(Bytes(t, before), one) {
			t.Error("the bytes changed under a reader")
		}
		Expect(t, s, key, 2, two)
		s.Remove(key, 2)
		if !bytes.Equal(Bytes(t, before), one) {
			t.Error("the bytes went away under a reader")
		}
	})

	t.Run("Remove forgets", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one), one)
		wait()
		s.Remove(key, 1)
		wait()
		Expect(t, s, key, 0, nil)
		s.Remove(key, 1)
		Write(t, s, key, Meta(key, 2, two), two)
		wait()
		Expect(t, s, key, 2, two)
	})

	t.Run("Remove of a replaced response forgets nothing", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one), one)
		Write(t, s, key, Meta(key, 2, two), two)
		wait()
		s.Remove(key, 1)
		wait()
		Expect(t, s, key, 2, two)
	})

	t.Run("Freshen replaces the Meta and keeps the bytes", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one, "X-A: old"), one)
		wait()
		for id := uint64(2); id < 7; id++ {
			m := Meta(key, id, one, fmt.Sprintf("X-A: %d", id))
			if err := s.Freshen(key, id-1, m); err != nil {
				t.Fatal(err)
			}
			wait()
			Expect(t, s, key, id, one)
			have := s.Get(key)
			if have == nil || have.Header.Get("X-A") != fmt.Sprint(id) {
				t.Errorf("not freshened: %v", have)
			}
			have.Release()
		}
	})

	t.Run("Freshen fails when another response was committed", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one), one)
		Write(t, s, key, Meta(key, 2, two), two)
		wait()
		if err := s.Freshen(key, 1, Meta(key, 3, one)); !errors.Is(err, store.ErrGone) {
			t.Errorf("got %v, want errGone", err)
		}
		wait()
		Expect(t, s, key, 2, two)
	})

	t.Run("Freshen fails when another response with the same bytes was committed", func(t *testing.T) {
		s, wait := open(t)
		Write(t, s, key, Meta(key, 1, one, "X-A: 1"), one)
		Write(t, s, key, Meta(key, 2, one, "X-A: 2"), one)
		wait()
		if err := s.Freshen(key, 1, Meta(key, 3, one, "X-A: 3")); !errors.Is(err, store.ErrGone) {
			t.Errorf("got %v, want errGone", err)
		}
		wait()
		Expect(t, s, key, 2, one)
	})

	t.Run("Freshen fails when nothing is stored", func(t *testing.T) {
		s, wait := open(t)
		if err := s.Freshen(key, 1, Meta(key, 2, one)); !errors.Is(err, store.ErrGone) {
			t.Errorf("got %v, want errGone", err)
		}
		wait()
		Expect(t, s, key, 0, nil)
	})

	t.Run("concurrent use gives whole responses of the right key", func(t *testing.T) {
		s, _ := open(t)
		var ids atomic.Uint64
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := range 60 {
					k := store.Key{Site: "s", ID: fmt.Sprint("k", i%3)}
					switch i % 5 {
					case 0, 1:
						body := Payload(worker*1000+i, 200+i)
						id := ids.Add(1)
						m := Meta(k, id, body, fmt.Sprintf("X-Id: %d", id), "X-Key: "+k.ID)
						w, err := s.Create(k, m, -1)
						if err != nil {
							t.Error(err)
							return
						}
						w.Write(body[:100])
						w.Write(body[100:])
						if worker != 3 {
							w.Commit(m)
						}
						w.Abort()
					case 2, 3:
						if have := s.Get(k); have != nil {
							b, err := io.ReadAll(io.NewSectionReader(have.Body, 0, have.Size()))
							if err != nil || !store.Intact(have.Meta, b) || have.Header.Get("X-Key") != k.ID {
								t.Errorf("a response that nobody wrote: %v", err)
							}
							m := *have.Meta
							m.ID = ids.Add(1)
							if err := s.Freshen(k, have.ID, &m); err != nil && !errors.Is(err, store.ErrGone) {
								t.Error(err)
							}
							have.Release()
						}
					case 4:
						if have := s.Get(k); have != nil {
							s.Remove(k, have.ID)
							have.Release()
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

// Payload returns n bytes of a seed.
func Payload(seed, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// Meta is the Meta of a one-part response.
func Meta(k store.Key, id uint64, body []byte, lines ...string) *store.Meta {
	m := &store.Meta{
		Site: k.Site, Key: k.ID, ID: id,
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
	b, err := io.ReadAll(io.NewSectionReader(s.Body, 0, s.Size()))
	if err != nil {
		t.Fatal(err)
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
	if have.ID != id || !bytes.Equal(Bytes(t, have), want) {
		t.Errorf("%q has ID %d and %d bytes, want ID %d and other bytes", k.ID, have.ID, have.Size(), id)
	}
}

// Flip changes one byte of a file, counted from its end when negative.
func Flip(t *testing.T, path string, at int) {
	t.Helper()
	f, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(f)
	}
	f[at] ^= 1
	if err := os.WriteFile(path, f, 0o600); err != nil {
		t.Fatal(err)
	}
}

// EvictAll has a tier evict everything that it can.
func EvictAll(t testing.TB, tier interface{ Evict() (int64, error) }) {
	t.Helper()
	for {
		if _, err := tier.Evict(); errors.Is(err, store.ErrNoSpace) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Pause makes a write fail, so that the disk tier with those calls pauses. The end of the
// pause is waited for by mend, in a bubble of synctest.
func Pause(t testing.TB, disk store.Store, calls *fsystest.Hooks) (mend func()) {
	t.Helper()
	real := calls.Open
	calls.Open = func(path string, flag int) (*os.File, error) {
		if flag&os.O_CREATE != 0 {
			return nil, syscall.ENOSPC
		}
		return real(path, flag)
	}
	k := store.Key{Site: "s", ID: "pause"}
	if w, err := disk.Create(k, Meta(k, 1, nil), 0); err == nil {
		w.Abort()
		t.Fatal("a file was created")
	}
	calls.Open = real
	return func() { time.Sleep(5 * time.Second) }
}

// Clean fails the test if a disk tier in dir has left temporary files, or open ones.
func Clean(t testing.TB, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v %v", left, err)
	}
	open, _ := os.ReadDir("/proc/self/fd") // where there is one
	for _, fd := range open {
		if name, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil && strings.HasPrefix(name, dir+"/") {
			t.Errorf("still open: %s", name)
		}
	}
}

// Long is a field of n bytes.
func Long(n int) string { return "X-Long: " + strings.Repeat("x", n) }
