package main

import "sync/atomic"

// lease counts the users of something that a reload replaces: requests, fetches,
// and first of all its owner. It ends with the last of them, once and for good.
type lease struct {
	users atomic.Int64
	ended chan struct{}
}

// newLease has its owner as the one user.
func newLease() *lease {
	l := &lease{ended: make(chan struct{})}
	l.users.Store(1)
	return l
}

// take adds a user, unless the lease has ended.
func (l *lease) take() bool {
	for {
		n := l.users.Load()
		if n == 0 {
			return false
		}
		if l.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// drop takes a user away: each one calls it once.
func (l *lease) drop() {
	if l.users.Add(-1) == 0 {
		close(l.ended)
	}
}
