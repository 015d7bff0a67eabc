package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

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
		if before.Version != 1 || !bytes.Equal(Bytes(t, before), one) {
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
							m.Version = ids.Add(1)
							if err := s.Freshen(k, have.Version, &m); err != nil && !errors.Is(err, store.ErrGone) {
								t.Error(err)
							}
							have.Release()
						}
					case 4:
						if have := s.Get(k); have != nil {
							s.Remove(k, have.Version)
							have.Release()
						}
					}
				}
			})
		}
		wg.Wait()
	})
}
