package cache

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pkgedge/cache/flight"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// large sends a body in pieces and says how far it has come.
type large struct {
	text  string
	sent  int
	calls int
	ended error // the cause of the fill's end
	size  int64 // declared
}

func (l *large) Fetch(ctx context.Context, _ FetchRequest, fill *Fill) error {
	l.calls++
	l.sent, l.ended = 0, nil
	err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), l.size)
	for err == nil && l.sent < len(l.text) {
		n := min(32<<10, len(l.text)-l.sent)
		if _, err = io.WriteString(fill, l.text[l.sent:l.sent+n]); err == nil {
			l.sent += n
		}
		err = errors.Join(err, context.Cause(ctx))
	}
	l.ended = err
	return err
}

// tooLarge lets nothing of more than 100 kB be kept.
func tooLarge(cfg *Config) { cfg.MaxObject = 100_000 }

var largeText = sync.OnceValue(func() string { return string(storetest.Payload(1, 2*flight.MaxWindow+500_000)) })

func newLarge() *large { return &large{text: largeText(), size: -1} }

// windowed runs a test with every reason for which a body is not kept.
func windowed(t *testing.T, test func(t *testing.T, c *Cache, l *large)) {
	t.Helper()
	declared := int64(len(largeText()))
	for _, tt := range []struct {
		name   string
		size   int64
		config func(*Config)
	}{
		{"larger than MaxObject", -1, tooLarge},
		{"larger than MaxObject, declared", declared, tooLarge},
		{"larger than the memory takes", -1, func(cfg *Config) { memoryOnly(cfg); cfg.MaxObject = 1 << 30 }},
		{"larger than the disk may hold", -1, func(cfg *Config) { cfg.Disk, cfg.MaxObject = 1<<20, 1<<30 }},
		{"larger than the disk may hold, declared", declared, func(cfg *Config) { cfg.Disk, cfg.MaxObject = 1<<20, 1<<30 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLarge()
				l.size = tt.size
				test(t, opened(t, tt.config), l)
			})
		})
	}
}

func TestWindowIsBounded(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		a, r := begun(t, c, query("a", l))
		synctest.Wait()
		if l.sent > flight.MaxWindow+c.storeable() || l.sent < flight.MaxWindow/2 {
			t.Errorf("the origin was let send %d bytes to nobody", l.sent)
		}
		expectRead(t, r, l.text[:100_000])
		synctest.Wait()
		if l.sent > flight.MaxWindow+c.storeable()+200_000 {
			t.Errorf("the origin was let send %d bytes, 100000 are read", l.sent)
		}
		rest, err := readAll(r, int64(len(l.text)))
		if err != nil || rest != l.text[100_000:] {
			t.Errorf("%d bytes and %v, or other bytes", len(rest), err)
		}
		settle(c)
		if l.size > 0 && a.Kept {
			t.Error("said to be kept")
		}
		storetest.Expect(t, c.store, store.Key{Site: "s", ID: "a"}, 0, nil)
	})
}

// storeable is how much of a body may be in a tier before it goes on in memory.
func (c *Cache) storeable() int { return 2 << 20 }

func TestWindowReadersShareIt(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		_, fast := begun(t, c, query("a", l))
		_, slow := begun(t, c, query("a", l))
		done := make(chan string)
		go func() {
			text, _ := readAll(fast, int64(len(l.text)))
			done <- text
		}()
		synctest.Wait()
		if l.sent > flight.MaxWindow+c.storeable() {
			t.Errorf("%d bytes were sent, the slow reader has none", l.sent)
		}
		expectRead(t, slow, l.text)
		expectEnd(t, slow, io.EOF)
		if <-done != l.text {
			t.Error("the fast reader got other bytes")
		}
		if l.calls != 1 {
			t.Errorf("%d fetches", l.calls)
		}
	})
}

func TestWindowGoesOnWhenASlowReaderLeaves(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		_, fast := begun(t, c, query("a", l))
		slow, err := c.Get(t.Context(), query("a", l))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan string)
		go func() {
			text, _ := readAll(fast, int64(len(l.text)))
			done <- text
		}()
		synctest.Wait()
		slow.Close()
		if <-done != l.text {
			t.Error("the fast reader got other bytes")
		}
	})
}

func TestWindowLateComerFetchesAlone(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		a, r := begun(t, c, query("a", l))
		expectRead(t, r, l.text[:len(l.text)/2])
		synctest.Wait()
		if l.sent == len(l.text) {
			t.Fatal("nobody can come late any more")
		}
		late := newLarge()
		if g := get(c, query("a", late)); g.body != l.text || g.err != nil {
			t.Errorf("who came late got %v", g)
		}
		if late.calls != 1 {
			t.Errorf("%d fetches for who came late", late.calls)
		}
		expectRead(t, r, l.text[len(l.text)/2:])
		expectEnd(t, r, io.EOF)
		a.Close()
		settle(c)
		if n := c.Usage().Flights; n != 0 {
			t.Errorf("%d flights are left", n)
		}
	})
}

func TestWindowDesertedFillIsCancelled(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		a, r := begun(t, c, query("a", l))
		expectRead(t, r, l.text[:1000])
		a.Close()
		settle(c)
		if !errors.Is(l.ended, flight.ErrDeserted) {
			t.Errorf("the fill ended with %v", l.ended)
		}
		if l.sent == len(l.text) {
			t.Error("sent to nobody")
		}
	})
}

// A client that wants the end of a body passes over its beginning, for which
// the fill must not wait.
func TestWindowSeek(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		a, err := c.Get(t.Context(), query("a", l))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		synctest.Wait() // the window is full
		r, err := a.Body(t.Context(), int64(len(l.text))-100)
		if err != nil {
			t.Fatal(err)
		}
		expectRead(t, r, l.text[len(l.text)-100:])
		expectEnd(t, r, io.EOF)
		// Bytes that have left the window are an error, and no early end.
		if r, err = a.Body(t.Context(), int64(len(l.text))-flight.MaxWindow-1000); err != nil {
			t.Fatal(err)
		}
		expectEnd(t, r, flight.ErrPassed)
	})
}

func TestWindowOfAStalledOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := opened(t, tooLarge)
		var ended error
		a, err := c.Get(t.Context(), query("a", fetch(func(ctx context.Context, _ FetchRequest, fill *Fill) error {
			fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), 1<<20)
			<-ctx.Done() // before the first byte
			ended = context.Cause(ctx)
			return ended
		})))
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		settle(c)
		if !errors.Is(ended, flight.ErrDeserted) {
			t.Errorf("ended with %v", ended)
		}
	})
}

func TestWindowReaderIsBoundByItsClient(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), -1)
			<-gate
			return err
		})
		a, err := c.Get(t.Context(), query("a", origin))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		ctx, leave := context.WithCancelCause(t.Context())
		r, err := a.Body(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		gone := errors.New("client is gone")
		go leave(gone)
		expectEnd(t, r, gone)
		close(gate)
	})
}

// A directory that goes away under the edge, or a disk that fails, costs speed
// and no answer.
func TestDiskDeletedWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		told := 0
		c := opened(t, func(cfg *Config) { cfg.Dir, cfg.Notify = dir, func(string, error) { told++ } })
		settle(c)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("x", 300_000)
		origin := always(200, text, "Cache-Control: max-age=60")
		for range 2 {
			expect(t, c, query("a", origin), Missed, text)
			settle(c)
		}
		held := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return hold(fill, map[string]string{"": "held"})
		})
		expect(t, c, query("b", held), Missed, "held")
		if told == 0 {
			t.Error("nobody was told")
		}
	})
}
