package origin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/sample/faults"
)

// looking is an expectation of what each look finds, after as long as it takes.
func looking(t *testing.T, looks ...func(ctx context.Context) found) *expectation {
	ctx, cancel := context.WithCancel(t.Context())
	e := &expectation{patience: digestPatience, cancel: cancel}
	next := make(chan func(context.Context) found, len(looks))
	for _, l := range looks {
		next <- l
	}
	e.look = func(bool) found { return (<-next)(ctx) }
	e.first = e.begin(false)
	t.Cleanup(e.stop)
	return e
}

func after(d time.Duration, f found) func(context.Context) found {
	return func(ctx context.Context) found {
		select {
		case <-time.After(d):
			return f
		case <-ctx.Done():
			return found{err: ctx.Err()}
		}
	}
}

// A file that is at hand waits for its digest two seconds, and once.
func TestDigestIsNotWaitedForLong(t *testing.T) {
	right := found{digest: kind.Digest{Algorithm: "sha1", Sum: []byte("x")}, ok: true}
	none, gone := found{}, found{err: errors.New("no master answers")}
	const never = 24 * time.Hour
	for _, tt := range []struct {
		name   string
		looks  []func(context.Context) found
		renew  bool
		waits  time.Duration
		ok     bool
		unsure bool
	}{
		{"it is there", []func(context.Context) found{after(0, right)}, false, 0, true, false},
		{"it comes in time", []func(context.Context) found{after(time.Second, right)}, false, time.Second, true, false},
		{"it does not", []func(context.Context) found{after(never, right)}, false, digestPatience, false, true},
		{"it cannot be had", []func(context.Context) found{after(0, gone)}, false, 0, false, true},
		{"there is none", []func(context.Context) found{after(0, none), after(time.Second, none)}, false, time.Second, false, false},
		{"there is none so far, and the newer list does not come", []func(context.Context) found{after(0, none), after(never, right)}, false, digestPatience, false, true},
		{"there is none so far, and the newer list cannot be had", []func(context.Context) found{after(0, none), after(0, gone)}, false, 0, false, true},
		{"there is one now", []func(context.Context) found{after(0, none), after(0, right)}, false, 0, true, false},
		{"it is in doubt, and the newer list does not come", []func(context.Context) found{after(0, right), after(never, right)}, true, digestPatience, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := looking(t, tt.looks...)
				begun := time.Now()
				_, ok := e.digest(tt.renew)
				if took := time.Since(begun); took != tt.waits || ok != tt.ok || e.unsure != tt.unsure {
					t.Errorf("a digest: %v, unsure: %v after %s; want %v, %v after %s", ok, e.unsure, took, tt.ok, tt.unsure, tt.waits)
				}
				begun = time.Now()
				if e.digest(false); e.late && time.Since(begun) != 0 {
					t.Errorf("it waited again, for %s", time.Since(begun))
				}
			})
		})
	}
	t.Run("it comes while another master is asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := looking(t, after(3*time.Second, right))
			e.digest(false)
			<-time.After(2 * time.Second)
			synctest.Wait()
			if _, ok := e.digest(false); !ok || e.unsure {
				t.Errorf("a digest: %v, unsure: %v", ok, e.unsure)
			}
		})
	})
	t.Run("it may not be served without", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &Site{Kind: mustKind(t), policed: true, patience: digestPatience,
				digests: func(context.Context, kind.Route, http.Header, bool) ([]byte, error) {
					<-time.After(time.Minute)
					return nil, errors.New("no master answers")
				}}
			begun := time.Now()
			if _, err := s.Withheld(t.Context(), Ask{Route: s.Route(kind.Request{Method: "GET", Path: aTarball, Header: http.Header{}})}); err == nil || time.Since(begun) != time.Minute {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
		})
	})
}

func mustKind(t *testing.T) kind.Kind {
	t.Helper()
	k, err := npm.New(kind.Options{PublicBase: publicBase})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// While the masters of metadata hang, those of files serve what is sound by its
// own account; and the other way round.
func TestTroubleWithOneClassIsItsOwn(t *testing.T) {
	start := func(t *testing.T) (*two, *behind, []byte) {
		w := newTwo(t)
		large := w.withLarge(t)
		b := newBehind(t, w.bothURLs[:1], filesFrom(t, w.bothURLs[1]))
		b.patience = 50 * time.Millisecond
		return w, b, large
	}
	t.Run("metadata hangs", func(t *testing.T) {
		w, b, large := start(t)
		w.a.Break(faults.Any, faults.Hang())
		for path, want := range map[string][]byte{aTarball: download(t, w.bothURLs[1]+aTarball), largeTarball: large} {
			r, err := b.get(t, path)
			if err != nil {
				t.Fatal(err)
			}
			same(t, path, r.body, want)
			if r.header.Get("Cache-Control") != "public, max-age=300" && r.header.Get("Cache-Control") != "public, max-age=299" || r.header.Get("Etag") != "" || r.header.Get("Last-Modified") != "" {
				t.Errorf("%s: it is kept for long, or for ever by a 304: %v", path, r.header)
			}
			if !slices.Contains(b.reported(), "@ unchecked") {
				t.Errorf("reports %q", b.reported())
			}
			for name, fault := range map[string]faults.Fault{
				"a wrong byte": faults.FlipByte(len(want) / 2), "cut": faults.CutAfter(len(want) - 9), "cut cleanly": faults.ShortBody(len(want) - 9), "a page": faults.HTML(),
			} {
				rule := w.b.Break(faults.Path(path), fault)
				if r, err := b.get(t, path); err == nil || len(r.body) >= len(want) {
					t.Errorf("%s, %s: %d of %d bytes, %v", path, name, len(r.body), len(want), err)
				}
				rule.Mend()
			}
			b.files.masters[0].row = 0
		}
		// When the metadata can be had again, the file is checked, and kept.
		w.a.Mend()
		r, err := b.get(t, aTarball)
		if err != nil || r.header.Get("Etag") == "" || !strings.HasPrefix(r.header.Get("Repr-Digest"), "sha-512=") {
			t.Errorf("%v, %v", err, r.header)
		}
		w.b.Break(faults.Path(aTarball), faults.Replace(zipped([]byte("another file"))))
		if _, err := b.get(t, aTarball); !errors.Is(err, errDigest) {
			t.Errorf("err = %v; want %v", err, errDigest)
		}
	})
	t.Run("files hang", func(t *testing.T) {
		w, b, _ := start(t)
		w.b.Break(faults.Any, faults.Hang())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Fetch(ctx, Ask{Route: b.route(aTarball)}, &recorder{}) }()
		<-w.b.Arrived(faults.Any)
		for range 2 * firstRoom {
			if r, err := b.get(t, aPackument); err != nil || r.status != http.StatusOK {
				t.Errorf("%d %v", r.status, err)
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the file: %v", err)
		}
	})
}
