package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

var (
	// ErrIdle is a body whose next bytes do not come.
	ErrIdle = fmt.Errorf("body stalled: %w", os.ErrDeadlineExceeded)
	// ErrDrip is a body that comes at no useful rate.
	ErrDrip = fmt.Errorf("body drips: %w", os.ErrDeadlineExceeded)
	// ErrUntaken is the body of a request that a master does not read.
	ErrUntaken = fmt.Errorf("the body of the request is not taken: %w", os.ErrDeadlineExceeded)
)

// leastRate is how many bytes a second a master must manage while we wait for
// it.
const leastRate = 256

// idleBody ends a body whose next bytes do not come within the idle time, or
// which drips: less than leastRate in all the waits that make up that time.
type idleBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer

	awaited func() bool   // nil for never
	eager   time.Duration // instead of idle while awaited

	waited time.Duration // since the rate was last looked at
	got    int64         // bytes in that time
}

// IdleBody bounds the waits for the next bytes of a response. It calls cancel with
// ErrIdle when a wait takes too long.
func (t *Transport) IdleBody(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	return newIdleBody(body, t.timeouts.Idle, cancel)
}

// EagerBody is IdleBody for a response of which nothing is released while awaited says so:
// until then a wait is one for the first byte as a client sees it, and another master may
// be sooner.
func (t *Transport) EagerBody(body io.ReadCloser, awaited func() bool, cancel context.CancelCauseFunc) io.ReadCloser {
	b := newIdleBody(body, t.timeouts.Idle, cancel)
	if b, ok := b.(*idleBody); ok && t.timeouts.FirstByte > 0 {
		b.eager, b.awaited = min(b.idle, t.timeouts.FirstByte), awaited
	}
	return b
}

func newIdleBody(body io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc) io.ReadCloser {
	if idle <= 0 {
		return body
	}
	timer := time.AfterFunc(idle, func() { cancel(ErrIdle) })
	timer.Stop()
	return &idleBody{ReadCloser: body, idle: idle, timer: timer}
}

// Read counts only the time that the master lets us wait: the timer stands
// while we wait for something else, and while our own writers are slow.
func (b *idleBody) Read(p []byte) (int, error) {
	longest := b.idle
	if b.awaited != nil && b.awaited() {
		longest = b.eager
	}
	b.timer.Reset(longest)
	begun := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	b.got += int64(n)
	if b.waited += time.Since(begun); b.waited >= longest && err == nil {
		if b.got < int64(leastRate*b.waited.Seconds()) {
			return n, ErrDrip
		}
		b.waited, b.got = 0, 0
	}
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// takenBody ends a request when the master takes none of its body for as long as an
// answer would be waited for. The time in which the client sends nothing does not
// count.
type takenBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer
}

// TakenBody bounds the waits for a master to read the body of a request. It calls
// cancel with ErrUntaken when a wait takes too long.
func (t *Transport) TakenBody(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	return newTakenBody(body, t.timeouts.Write, cancel)
}

func newTakenBody(body io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc) io.ReadCloser {
	if idle <= 0 {
		return body
	}
	timer := time.AfterFunc(idle, func() { cancel(ErrUntaken) })
	timer.Stop()
	return &takenBody{body, idle, timer}
}

// Read is called when the bytes that it returned before have been written.
func (b *takenBody) Read(p []byte) (int, error) {
	b.timer.Stop()
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.timer.Reset(b.idle)
	}
	return n, err
}

func (b *takenBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// Drain reads the short rest of a body, so that its connection can be used again,
// and closes it. A new connection is cheaper than a long wait.
func Drain(body io.ReadCloser, cancel context.CancelCauseFunc) {
	const longest = 50 * time.Millisecond
	late := time.AfterFunc(longest, func() { cancel(nil) })
	defer late.Stop()
	io.CopyN(io.Discard, body, 16<<10)
	body.Close()
}

// IsTimeout says whether an error is a wait that took too long.
func IsTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
