package health

import (
	"net/netip"
	"slices"
)

// queue is the requests that wait for a place at a master: a line for each client, and the
// clients take turns. So a client that wants a thousand things at once waits for them itself,
// and another one that wants one thing waits for a request of each client at most. Requests of the
// edge's own, such as those after a change, are one client.
type queue struct {
	lines []*line // none is empty; the first has its turn
	n     int     // waiters in all of them
}

// line is the waiting requests of one client, first come first.
type line struct {
	client  netip.Addr
	waiters []*waiter
}

// waiter is a request in the queue.
type waiter struct {
	client  netip.Addr
	ready   chan struct{} // closed when the queue is left
	refused bool          // rather than let in
}

// leave takes the waiter out of its wait. The limiter's mu is held.
func (w *waiter) leave(refused bool) {
	w.refused = refused
	close(w.ready)
}

func (w *waiter) result() error {
	if w.refused {
		return ErrBusy
	}
	return nil
}

const (
	// maxQueue is how many requests of a class may wait. While a limiter is not
	// wide open, those may wait too that a wide one would have let in. They are as many as a
	// master answers within the usual wait for a first byte, at a third of a second each.
	maxQueue = 2048
	// maxLine is how many of them may be of one client.
	maxLine = 1024
)

// push adds a request, where up to more than the usual number may wait. A full queue has room
// for a client that has fewer requests in it than another one: the last of those is refused
// instead. It is nil when there is no room.
func (q *queue) push(client netip.Addr, more int) *waiter {
	i := slices.IndexFunc(q.lines, func(l *line) bool { return l.client == client })
	own := 0
	if i >= 0 {
		own = len(q.lines[i].waiters)
	}
	if own >= maxLine+more || q.n >= maxQueue+more && !q.displace(own+1) {
		return nil
	}
	w := &waiter{client: client, ready: make(chan struct{})}
	q.n++
	if i < 0 {
		q.lines = append(q.lines, &line{client, []*waiter{w}})
		return w
	}
	q.lines[i].waiters = append(q.lines[i].waiters, w)
	return w
}

// displace refuses the last request of the longest line, if that is longer than n. The line
// keeps others.
func (q *queue) displace(n int) bool {
	longest := slices.MaxFunc(q.lines, func(a, b *line) int { return len(a.waiters) - len(b.waiters) })
	last := len(longest.waiters) - 1
	if last < n {
		return false
	}
	longest.waiters[last].leave(true)
	longest.waiters = longest.waiters[:last]
	q.n--
	return true
}

// pop takes out the request whose turn it is, nil for none.
func (q *queue) pop() *waiter {
	if q.n == 0 {
		return nil
	}
	l := q.lines[0]
	w := l.waiters[0]
	l.waiters = l.waiters[1:]
	q.lines = q.lines[1:]
	if len(l.waiters) > 0 {
		q.lines = append(q.lines, l)
	}
	q.n--
	return w
}

// remove takes out a request, and reports whether it was there.
func (q *queue) remove(w *waiter) bool {
	for i, l := range q.lines {
		if l.client != w.client {
			continue
		}
		at := slices.Index(l.waiters, w)
		if at < 0 {
			return false
		}
		if l.waiters = slices.Delete(l.waiters, at, at+1); len(l.waiters) == 0 {
			q.lines = slices.Delete(q.lines, i, i+1)
		}
		q.n--
		return true
	}
	return false
}
