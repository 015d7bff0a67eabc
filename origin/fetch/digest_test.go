package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
	"pkgedge/origin/verify"
)

// looking is an expectation whose look-ups find these, one after the other.
func looking(t *testing.T, looks ...func(ctx context.Context) found) *expectation {
	ctx, cancel := context.WithCancel(t.Context())
	e := &expectation{longest: digestWait, cancel: cancel}
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
		{"it does not", []func(context.Context) found{after(never, right)}, false, digestWait, false, true},
		{"it cannot be had", []func(context.Context) found{after(0, gone)}, false, 0, false, true},
		{"there is none", []func(context.Context) found{after(0, none), after(time.Second, none)}, false, time.Second, false, false},
		{"there is none so far, and the newer list does not come", []func(context.Context) found{after(0, none), after(never, right)}, false, digestWait, false, true},
		{"there is none so far, and the newer list cannot be had", []func(context.Context) found{after(0, none), after(0, gone)}, false, 0, false, true},
		{"there is one now", []func(context.Context) found{after(0, none), after(0, right)}, false, 0, true, false},
		{"it is in doubt, and the newer list does not come", []func(context.Context) found{after(0, right), after(never, right)}, true, digestWait, true, false},
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
			k := mustKind(t)
			f := New(Config{Kind: k, Policed: true})
			list := func(context.Context, bool) ([]byte, error) {
				<-time.After(time.Minute)
				return nil, errors.New("no master answers")
			}
			begun := time.Now()
			if _, err := f.Withheld(t.Context(), pool.Request{Route: k.Route(kind.Request{Method: "GET", Path: aTarball, Header: http.Header{}}), List: list}); err == nil || time.Since(begun) != time.Minute {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
		})
	})
}

func mustKind(t *testing.T) kind.Kind {
	t.Helper()
	k, err := npm.New(kind.Options{PublicBase: origintest.PublicBase})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// While the masters of metadata hang, those of files serve files that are plausible;
// and the other way round.
func TestTroubleWithOneClassIsItsOwn(t *testing.T) {
	start := func(t *testing.T) (*origintest.Two, *behind, []byte) {
		w := origintest.NewTwo(t)
		large := w.AddLarge(t)
		b := newBehind(t, w.URLs[:1], filesFrom(t, w.URLs[1]))
		b.digestWait = 50 * time.Millisecond
		return w, b, large
	}
	t.Run("metadata hangs", func(t *testing.T) {
		w, b, large := start(t)
		w.A.Break(faults.Any, faults.Hang())
		for path, want := range map[string][]byte{aTarball: origintest.Download(t, w.URLs[1]+aTarball), origintest.LargeTarball: large} {
			r, err := b.get(t, path)
			if err != nil {
				t.Fatal(err)
			}
			origintest.Same(t, path, r.Body, want)
			age := 0
			fmt.Sscanf(r.Header.Get("Cache-Control"), "public, max-age=%d", &age)
			if age <= 0 || age > 300 || r.Header.Get("Etag") != "" || r.Header.Get("Last-Modified") != "" {
				t.Errorf("%s: it is kept for long, or for ever by a 304: %v", path, r.Header)
			}
			if !slices.Contains(b.reported(), "@ unchecked") {
				t.Errorf("reports %q", b.reported())
			}
			for name, fault := range map[string]faults.Fault{
				"a wrong byte": faults.FlipByte(len(want) / 2), "cut": faults.CutAfter(len(want) - 9), "cut cleanly": faults.ShortBody(len(want) - 9), "a page": faults.HTML(),
			} {
				rule := w.B.Break(faults.Path(path), fault)
				if r, err := b.get(t, path); err == nil || len(r.Body) >= len(want) {
					t.Errorf("%s, %s: %d of %d bytes, %v", path, name, len(r.Body), len(want), err)
				}
				rule.Mend()
			}
			b.files.Answered(b.files.Primary(), health.ForFiles)
		}
		// When the metadata can be had again, the file is checked, and kept. The
		// short wait for a digest must not apply any more: on a busy machine a
		// packument may take longer than that although its master is well. Then
		// this happens: the file arrives, its digest is waited for in vain, the file
		// is plausible and passes unchecked, and only after that the digest comes.
		w.A.Mend()
		b.digestWait = time.Minute
		r, err := b.get(t, aTarball)
		if err != nil || r.Header.Get("Etag") == "" || !strings.HasPrefix(r.Header.Get("Repr-Digest"), "sha-512=") {
			t.Errorf("%v, %v", err, r.Header)
		}
		w.B.Break(faults.Path(aTarball), faults.Replace(tarball.Gzip([]byte("another file"))))
		if _, err := b.get(t, aTarball); !errors.Is(err, verify.ErrDigest) {
			t.Errorf("err = %v; want %v", err, verify.ErrDigest)
		}
	})
	t.Run("files hang", func(t *testing.T) {
		w, b, _ := start(t)
		w.B.Break(faults.Any, faults.Hang())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Fetch(ctx, pool.Request{Route: b.route(aTarball)}, &origintest.Recorder{}) }()
		<-w.B.Arrived(faults.Any)
		for range 16 {
			if r, err := b.get(t, aPackument); err != nil || r.Status != http.StatusOK {
				t.Errorf("%d %v", r.Status, err)
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the file: %v", err)
		}
	})
}
