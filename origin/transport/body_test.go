package transport

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The idle time runs while a read waits, and at no other time.
func TestIdleTimeIsTheMastersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		body := newIdleBody(from, time.Second, cancel)
		buf := make([]byte, 8)

		<-time.After(time.Hour) // we wait for something else
		go to.Write([]byte("one"))
		if n, err := body.Read(buf); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		<-time.After(time.Hour) // our writers are slow
		if ctx.Err() != nil {
			t.Fatal("the master was blamed for our own delay")
		}

		read := make(chan struct{})
		go func() {
			defer close(read)
			body.Read(buf)
		}()
		<-time.After(time.Second - 1)
		if ctx.Err() != nil {
			t.Error("cancelled before the idle time was over")
		}
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), ErrIdle) {
			t.Errorf("cause = %v", context.Cause(ctx))
		}
		to.Close()
		<-read
		body.Close()
	})
}

// The first bytes of a fetch come as soon as its fields, and so do all bytes that nothing
// is released without.
func TestFirstBytesAreWaitedForLess(t *testing.T) {
	const firstByte, idle = 10 * time.Second, 20 * time.Second
	for _, tt := range []struct {
		name   string
		eager  bool
		whole  bool
		before int // bytes that come
		want   time.Duration
	}{
		{"passed", false, false, 0, idle},
		{"no byte", true, false, 0, firstByte},
		{"streamed", true, false, 3, idle},
		{"not released", true, true, 3, firstByte},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := New(Timeouts{FirstByte: firstByte, Idle: idle})
			from, to := io.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			body := tr.IdleBody(from, cancel)
			released := false
			if tt.eager {
				body = tr.EagerBody(from, func() bool { return !released }, cancel)
			}
			if tt.before > 0 {
				go to.Write(make([]byte, tt.before))
				body.Read(make([]byte, 8))
				released = !tt.whole
			}
			begun := time.Now()
			context.AfterFunc(ctx, func() { to.Close() })
			body.Read(make([]byte, 8))
			if got := time.Since(begun); got != tt.want || context.Cause(ctx) != ErrIdle {
				t.Errorf("%s: waited %s; want %s", tt.name, got, tt.want)
			}
			body.Close()
		})
	}
}

// A body that comes, but at no useful rate, is given up.
func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for every, ok := range map[time.Duration]bool{10 * time.Millisecond: true, 500 * time.Millisecond: false} {
			ctx, cancel := context.WithCancelCause(t.Context())
			body := newIdleBody(&dripping{every: every, left: 2000}, time.Second, cancel)
			buf := make([]byte, 64)
			var err error
			for err == nil {
				_, err = body.Read(buf)
			}
			if errors.Is(err, ErrDrip) == ok || ctx.Err() != nil {
				t.Errorf("4 bytes every %s: %v", every, err)
			}
			body.Close()
			cancel(nil)
		}
		if !IsTimeout(ErrDrip) {
			t.Error("it is no timeout")
		}
	})
}

// dripping gives four bytes at a time.
type dripping struct {
	every time.Duration
	left  int
}

func (d *dripping) Read(p []byte) (int, error) {
	<-time.After(d.every)
	if d.left -= 4; d.left <= 0 {
		return 0, errors.New("end")
	}
	return 4, nil
}

func (d *dripping) Close() error { return nil }

// The time that the client takes to send a body is not held against the master.
func TestRequestBodyIsTimedAtTheMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		body := newTakenBody(io.NopCloser(&dripping{every: time.Hour, left: 13}), time.Second, cancel)
		buf := make([]byte, 8)
		for range 2 {
			if _, err := body.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		if ctx.Err() != nil {
			t.Fatal("a slow client is taken for a master that stalls")
		}
		<-time.After(2 * time.Second)
		if context.Cause(ctx) != ErrUntaken || !IsTimeout(ErrUntaken) {
			t.Errorf("a master that takes nothing: %v", context.Cause(ctx))
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		body = newTakenBody(io.NopCloser(strings.NewReader("x")), time.Second, cancel)
		io.ReadAll(body)
		<-time.After(time.Hour)
		if ctx.Err() != nil {
			t.Error("a body that was taken whole")
		}
		cancel(nil)
	})
}
