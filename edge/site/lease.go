package site

import "sync/atomic"

// Lease counts the users of something that a reload replaces: requests, fetches,
// and first of all its owner. It ends with the last of them, once and for good.
type Lease struct {
	users atomic.Int64
	ended chan struct{}
}

// NewLease has its owner as the one user.
func NewLease() *Lease {
	l := &Lease{ended: make(chan struct{})}
	l.users.Store(1)
	return l
}

// Acquire adds a user, unless the lease has ended.
func (l *Lease) Acquire() bool {
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

// Release takes a user away: each one calls it once.
func (l *Lease) Release() {
	if l.users.Add(-1) == 0 {
		close(l.ended)
	}
}

// Ended is closed with the last user.
func (l *Lease) Ended() <-chan struct{} { return l.ended }
