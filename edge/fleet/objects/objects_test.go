package objects

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pkgedge/edge/edgetest"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const master = "https://a.example"

// stored is a file as it is stored, of that age.
func stored(body string, age time.Duration) func() *origin.Found {
	sum := sha512.Sum512([]byte(body))
	return func() *origin.Found {
		return &origin.Found{
			Response: &http.Response{StatusCode: 200, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{
				"Repr-Digest": {"sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"}, "Etag": {`"e"`}, "Content-Type": {"application/octet-stream"},
			}},
			Master: master, Ago: age,
		}
	}
}

// ask asks for a file by its digest. It is "" where the store has none.
func ask(t *testing.T, s *Store, body string, purged time.Time) (string, *origin.Found) {
	t.Helper()
	sum := sha512.Sum512([]byte(body))
	r := &origin.Request{
		Digest: func() (kind.Digest, bool) { return kind.Digest{Algorithm: "sha512", Sum: sum[:]}, true },
		Purged: func() time.Time { return purged },
	}
	f := s.Site("npm").Ask(t.Context(), r)
	if f == nil {
		return "", nil
	}
	got, err := io.ReadAll(f.Body)
	f.Body.Close()
	if err != nil {
		f.Used(&origin.Blame{Did: "cut", Err: err})
		return "", nil
	}
	f.Used(nil)
	return string(got), f
}

// run runs the store's worker until the test ends.
func run(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestAFileIsFoundByItsDigest(t *testing.T) {
	b := newBucket(t)
	s := b.store(t)
	run(t, s)
	if got, _ := ask(t, s, "a file", time.Time{}); got != "" {
		t.Errorf("an empty store has %q", got)
	}
	s.Keep("npm", "pkg", stored("a file", time.Hour))
	edgetest.Until(t, "the file", func() bool { return s.Status().Put == 1 })
	got, f := ask(t, s, "a file", time.Time{})
	if got != "a file" || f.Master != master || f.Header.Get("Etag") != `"e"` || f.ContentLength != 6 || f.Ago.Round(time.Minute) != time.Hour {
		t.Errorf("%q: %+v", got, f)
	}
	s.Keep("npm", "pkg", stored("a file", 0)) // it is not put twice, but for one from before a purge
	s.Keep("npm", "pkg", stored("a file", time.Hour))
	edgetest.Until(t, "the file again", func() bool { st := s.Status(); return st.Put == 2 && st.Had == 1 })
	if n := b.count(http.MethodPut); n != 4 { // with references
		t.Errorf("%d PUTs", n)
	}
	if st := s.Status(); st.Asked != 2 || st.Answered != 1 || st.Missing != 1 || st.Failed+st.PutFailed != 0 || st.State != "well" || st.Bytes != 6 || st.PutBytes != 12 {
		t.Errorf("%+v", st)
	}
}

// A file that may be from before a purge is none, though two clocks differ.
func TestAFileFromBeforeAPurge(t *testing.T) {
	b := newBucket(t)
	s := b.store(t)
	run(t, s)
	s.Keep("npm", "pkg", stored("a file", time.Hour))
	edgetest.Until(t, "the file", func() bool { return s.Status().Put == 1 })
	received := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		purged time.Time
		want   string
	}{
		{received.Add(-clockMargin - time.Minute), "a file"},
		{received.Add(-clockMargin / 2), ""},
		{received.Add(time.Minute), ""},
		{time.Now(), ""},
	} {
		if got, _ := ask(t, s, "a file", tt.purged); got != tt.want {
			t.Errorf("a purge %v after it: %q", tt.purged.Sub(received), got)
		}
	}
}

// A store in trouble is out soon. Nobody asks it then, and nothing waits for it.
func TestAStoreInTrouble(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, serve func()) bool{
		"it hangs": func(_ http.ResponseWriter, r *http.Request, _ func()) bool {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return true
		},
		"it fails": func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		},
		"it refuses": func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		},
		"it cuts": func(w http.ResponseWriter, r *http.Request, serve func()) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			s := b.store(t)
			if name == "it hangs" { // the others answer, on a busy machine later than that
				s.cfg.FirstByte = 20 * time.Millisecond
			}
			b.set(fault)
			for range inARow + 2 {
				if got, _ := ask(t, s, "a file", time.Time{}); got != "" {
					t.Fatalf("answered %q", got)
				}
			}
			asked := b.count(http.MethodGet)
			st := s.Status()
			if st.State != "out" || st.Asked != inARow || asked != inARow && name != "it hangs" {
				t.Errorf("%+v after %d requests", st, asked)
			}
			s.Keep("npm", "pkg", stored("a file", 0))
			if st := s.Status(); st.Dropped != 1 || st.Queue != 0 {
				t.Errorf("%+v", st)
			}
			// It is tried behind the requests, and comes back.
			b.set(nil)
			s.cfg.FirstByte = time.Minute
			s.health.mu.Lock()
			s.health.until = time.Now()
			s.health.mu.Unlock()
			run(t, s)
			edgetest.Until(t, "its return", func() bool { return s.Status().State == "well" })
			if n := b.count(http.MethodGet); n != asked {
				t.Errorf("a request tried it")
			}
		})
	}
}

// A connection that breaks behind a PUT is no failure where the store has the bytes.
func TestAPutThatBreaksAfterItsBytes(t *testing.T) {
	b := newBucket(t)
	s := b.store(t)
	run(t, s)
	b.set(func(_ http.ResponseWriter, r *http.Request, serve func()) bool {
		if r.Method != http.MethodPut {
			return false
		}
		serve()
		panic(http.ErrAbortHandler)
	})
	s.Keep("npm", "pkg", stored("a file", 0))
	edgetest.Until(t, "the file", func() bool { return s.Status().Put == 1 })
	if st := s.Status(); st.PutFailed != 0 {
		t.Errorf("%+v", st)
	}
	b.set(func(_ http.ResponseWriter, r *http.Request, _ func()) bool {
		if r.Method == http.MethodPut {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	s.Keep("npm", "pkg", stored("another file", 0))
	edgetest.Until(t, "the failure", func() bool { return s.Status().PutFailed == 1 })
}

// Too many files are dropped. One that is gone, or has no digest, is not put.
func TestTheQueueIsBounded(t *testing.T) {
	b := newBucket(t)
	s := b.store(t)
	gone := func() *origin.Found { return nil }
	unchecked := func() *origin.Found {
		f := stored("x", 0)()
		f.Header = http.Header{"Repr-Digest": {"md5=:AA==:"}}
		return f
	}
	broken := func() *origin.Found {
		f := stored("x", 0)()
		f.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), failing{}))
		return f
	}
	for i := range maxQueue + 7 {
		s.Keep("npm", "pkg", []func() *origin.Found{gone, unchecked, broken}[i%3])
	}
	if st := s.Status(); st.Queue != maxQueue || st.Dropped != 7 {
		t.Errorf("%+v", st)
	}
	run(t, s)
	edgetest.Until(t, "the end of the queue", func() bool { return s.Status().Dropped == maxQueue+7 })
	if len(b.calls) != 0 {
		t.Errorf("%d calls", len(b.calls))
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk fails") }

// The store is asked by the digests alone that name one file.
func TestDigestsThatNameNoFile(t *testing.T) {
	b := newBucket(t)
	s := b.store(t)
	for _, d := range []kind.Digest{{}, {Algorithm: "sha1", Sum: make([]byte, 20)}, {Algorithm: "sha512", Sum: make([]byte, 20)}, {Algorithm: "sha256"}} {
		if f := s.Site("npm").Ask(t.Context(), &origin.Request{Digest: func() (kind.Digest, bool) { return d, d.Algorithm != "" }}); f != nil {
			t.Errorf("%+v: an answer", d)
		}
	}
	if f := s.Site("npm").Ask(t.Context(), &origin.Request{}); f != nil || len(b.calls) > 0 {
		t.Errorf("%v, %q", f, b.calls)
	}
}

// A hard purge of a package deletes its files, also where the store is out at first.
func TestForget(t *testing.T) {
	b := newBucket(t)
	s := b.store(t)
	run(t, s)
	for _, body := range []string{"one", "two"} {
		s.Keep("npm", "pkg", stored(body, 0))
	}
	s.Keep("npm", "other", stored("three", 0))
	edgetest.Until(t, "the files", func() bool { return s.Status().Put == 3 })
	b.set(func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	s.Forget("npm", "pkg")
	s.Forget("npm", "pkg")
	edgetest.Until(t, "a failure", func() bool { return s.Status().Failed > 0 })
	if st := s.Status(); st.Purging != 1 || st.Deleted != 0 {
		t.Errorf("%+v", st)
	}
	b.set(nil)
	s.Forget("npm", "nothing")
	edgetest.Until(t, "the end of the purge", func() bool { return s.Status().Purging == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.objects) != 2 || s.Status().Deleted != 2 { // the third file and its reference
		t.Errorf("%d objects are left; %+v", len(b.objects), s.Status())
	}
}

// The fields of an answer go along, as far as there is room for them.
func TestAbout(t *testing.T) {
	want := about{Master: master, Received: time.Unix(1e9, 0).UTC(), Fields: http.Header{"Etag": {`"e"`}, "Link": {"<a>", "<b>"}}}
	h := make(http.Header)
	want.write(h)
	got, ok := readAbout(h)
	if !ok || got.Master != master || !got.Received.Equal(want.Received) || got.Fields.Get("Etag") != `"e"` || len(got.Fields["Link"]) != 2 {
		t.Errorf("%+v, %v", got, ok)
	}
	want.Fields.Set("X-Long", string(bytes.Repeat([]byte("x"), 4000)))
	want.write(h)
	if got, ok := readAbout(h); !ok || got.Fields.Get("Etag") != `"e"` || got.Fields.Get("X-Long") != "" || len(h.Get(aboutField)) > maxAbout {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, text := range []string{"", "!", "e30", base64.RawURLEncoding.EncodeToString([]byte(`{"master":"m"}`))} {
		h.Set(aboutField, text)
		if _, ok := readAbout(h); ok {
			t.Errorf("%q is read", text)
		}
	}
}

// A store that is quick is waited for a short time, and a slow one longer.
func TestTheWaitGoesByTheUsualTime(t *testing.T) {
	var h health
	want := func(what string, least, most time.Duration) {
		t.Helper()
		if got := h.wait(time.Second); got < least || got > most {
			t.Errorf("%s: waits %v", what, got)
		}
	}
	want("nothing is known", time.Second, time.Second)
	h.took(time.Millisecond)
	want("a quick store", leastWait, leastWait)
	for range 100 {
		h.took(20 * time.Millisecond)
	}
	want("a slower one", 150*time.Millisecond, 160*time.Millisecond)
	for range 100 {
		h.took(time.Minute)
	}
	want("a very slow one", time.Second, time.Second)
	for range inARow {
		h.failed()
	}
	h.took(10 * time.Millisecond) // of a trial
	want("one that comes back", 80*time.Millisecond, 80*time.Millisecond)
}
