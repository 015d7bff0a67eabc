package health

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// client is the n-th of many.
func client(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}) }

func TestClientsTakeTurns(t *testing.T) {
	var q queue
	turns := func(want ...int) {
		t.Helper()
		for i, n := range want {
			w := q.pop()
			if w == nil || w.client != client(n) {
				t.Fatalf("turn %d is %v; want client %d", i, w, n)
			}
		}
	}
	for range 100 {
		q.push(client(1), 0)
	}
	turns(1, 1)
	q.push(client(2), 0)
	q.push(client(3), 0)
	q.push(client(2), 0)
	turns(1, 2, 3, 1, 2, 1, 1)
	q.push(client(3), 0)
	turns(1, 3, 1)
	for q.pop() != nil {
	}
	if q.n != 0 || len(q.lines) != 0 {
		t.Errorf("%d waiters and %d lines are left", q.n, len(q.lines))
	}
}

func TestWaitersLeaveTheQueue(t *testing.T) {
	var q queue
	a, b, c := q.push(client(1), 0), q.push(client(1), 0), q.push(client(2), 0)
	if !q.remove(a) || q.remove(a) || !q.remove(c) || q.n != 1 || len(q.lines) != 1 {
		t.Errorf("%d waiters and %d lines are left of one", q.n, len(q.lines))
	}
	if q.pop() != b || q.remove(b) {
		t.Error("the last one is not the last one")
	}
}

func TestNobodyFillsTheQueueAlone(t *testing.T) {
	var q queue
	push := func(n, times int) (refused int) {
		for range times {
			if q.push(client(n), 0) == nil {
				refused++
			}
		}
		return refused
	}
	if refused := push(1, maxLine+10); refused != 10 {
		t.Errorf("client 1: %d refused, want the 10 beyond its line", refused)
	}
	first, last := q.lines[0].waiters[0], q.lines[0].waiters[maxLine-1]
	if refused := push(2, maxQueue-maxLine); refused != 0 {
		t.Errorf("client 2: %d refused", refused)
	}
	if refused := push(3, maxQueue/3+2); refused < 1 || refused > 3 {
		t.Errorf("client 3: %d refused after the queue was shared evenly", refused)
	}
	if q.n > maxQueue {
		t.Errorf("%d wait", q.n)
	}
	for _, l := range q.lines {
		if n := len(l.waiters); n < maxQueue/3 || n > maxQueue/3+2 {
			t.Errorf("%d places are %v's, of %d", n, l.client, maxQueue)
		}
	}
	select {
	case <-last.ready:
	default:
		t.Error("the last of the longest line still waits")
	}
	if !last.refused || first.refused {
		t.Error("the wrong one was refused")
	}
}

// A thousand documents at once that a master answers in 300 ms each all fit into the wait
// for a first byte, and one document of another client does not wait for them.
func TestAThousandAtOnceAreAnswered(t *testing.T) {
	const limit, each, firstByte = 64, 300 * time.Millisecond, 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		var wg sync.WaitGroup
		ask := func(of netip.Addr) (took time.Duration) {
			begun := time.Now()
			if err := l.acquire(t.Context(), of, limit, firstByte); err != nil {
				t.Errorf("after %v: %v", time.Since(begun), err)
				return 0
			}
			took = time.Since(begun)
			<-time.After(each)
			l.began(limit)
			l.release(limit)
			return took
		}
		for range 1000 {
			wg.Go(func() { ask(client(1)) })
		}
		synctest.Wait()
		<-time.After(2 * each)
		if took := ask(client(2)); took > each {
			t.Errorf("another client waited %v, and a place is free each %v", took, each)
		}
		wg.Wait()
		l.is(t, 0, 0)
	})
}
