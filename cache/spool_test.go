package cache

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store/storetest"
)

const long = "Cache-Control: max-age=60"

// spool writes a text into a spooled response.
func spool(fill *Fill, text string) error {
	if !fill.Spool(200, policytest.Fields(long), int64(len(text))) {
		return errors.New("no place")
	}
	_, err := io.WriteString(fill, text)
	return err
}

// A spooled response is seen by nobody before its end, and a wrong one that another one
// takes the place of is seen by nobody at all.
func TestSpooledResponseBeginsAnew(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		wrong, right := string(storetest.Payload(1, 300_000)), string(storetest.Payload(2, 200_000))
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			fill.Tag(`"wrong"`)
			if err := spool(fill, wrong); err != nil {
				return err
			}
			<-gate
			fill.Tag(`"right"`)
			return spool(fill, right)
		}}
		wait := clients(c, 10, func(int) *Query { return query("a", origin) })
		gone, leave := context.WithCancelCause(t.Context())
		left := make(chan error)
		go func() {
			_, err := c.Get(gone, query("a", origin))
			left <- err
		}()
		synctest.Wait()
		hangUp := errors.New("hung up")
		leave(hangUp)
		if err := <-left; !errors.Is(err, hangUp) {
			t.Errorf("a client that hung up got %v", err)
		}
		storetest.Expect(t, c.store, query("a", origin).Key, 0, nil)
		close(gate)
		for _, g := range wait() {
			if g.err != nil || g.body != right {
				t.Errorf("got %v", g)
			}
		}
		origin.want(t, 1)
		settle(c)
		expect(t, c, query("a", origin), Hit, right)
		a, err := c.Get(t.Context(), query("a", origin))
		if err != nil || a.Part.ETag != `"right"` {
			t.Errorf("%s, %v", a.Part.ETag, err)
		}
		a.Close()
	})
}

// A 404 of the next master takes the place of a spooled response too.
func TestSpooledResponseGivesWay(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return errors.Join(spool(fill, "wrong"), respond(fill, 404, "none"))
		}))
		if g := get(c, q); g.status != 404 || g.body != "none" {
			t.Errorf("got %v", g)
		}
		settle(c)
	})
}

func TestSpooledResponseThatFailsIsSeenByNobody(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return errors.Join(spool(fill, "wrong"), errOrigin)
		}))
		if g := get(c, q); !errors.Is(g.err, errOrigin) {
			t.Errorf("got %v, want the origin's error", g)
		}
		settle(c)
		storetest.Expect(t, c.store, q.Key, 0, nil)
	})
}

// After its release a response streams.
func TestSpooledResponseIsReleased(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		text := string(storetest.Payload(1, 300_000))
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			if !fill.Spool(200, policytest.Fields(long), int64(len(text))) {
				return errors.New("no place")
			}
			io.WriteString(fill, text[:200_000])
			<-gate
			fill.Release()
			if fill.Spooled() {
				t.Error("it is spooled still")
			}
			<-gate
			_, err := io.WriteString(fill, text[200_000:])
			return err
		}}
		begun := make(chan Answer, 1)
		go func() {
			a, err := c.Get(t.Context(), query("a", origin))
			if err != nil {
				t.Error(err)
			}
			begun <- a
		}()
		synctest.Wait()
		if len(begun) > 0 {
			t.Error("readers began before the release")
		}
		gate <- struct{}{}
		a := <-begun
		r, _ := a.Body(t.Context(), 0)
		if _, err := io.CopyN(io.Discard, r, 200_000); err != nil {
			t.Error(err)
		}
		close(gate)
		if rest, err := io.ReadAll(io.LimitReader(r, 100_000)); string(rest) != text[200_000:] {
			t.Errorf("%d bytes, %v", len(rest), err)
		}
		a.Close()
		settle(c)
		expect(t, c, query("a", origin), Hit, text)
	})
}

// A response that no tier takes is not spooled, or is released where a tier learns of it too late: the
// window waits for its readers.
func TestSpooledResponseThatNoTierTakes(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			if !fill.Spool(200, policytest.Fields(long), l.size) {
				if l.size < 0 {
					t.Error("an unknown size was refused")
				}
				return respond(fill, 200, l.text, long)
			}
			for text := l.text; text != ""; {
				n := min(32<<10, len(text))
				if _, err := io.WriteString(fill, text[:n]); err != nil {
					return err
				}
				text = text[n:]
			}
			if fill.Spooled() {
				t.Error("it is spooled still")
			}
			return nil
		}))
		if g := get(c, q); g.err != nil || g.body != l.text {
			t.Errorf("got %v", g)
		}
		settle(c)
	})
}

// A disk that fails under a spooled response costs no answer.
func TestSpooledResponseOnABrokenDisk(t *testing.T) {
	onBroken(t, func(t *testing.T, c *Cache, b *broken, _ func() int) {
		text := strings.Repeat("0123456789", 50_000)
		b.set(errors.New("the disk is broken"))
		if g := get(c, query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			if err := spool(fill, text); err != nil {
				return respond(fill, 200, text, long)
			}
			return nil
		}))); g.err != nil || g.body != text {
			t.Errorf("got %v", g)
		}
		settle(c)
	})
}
