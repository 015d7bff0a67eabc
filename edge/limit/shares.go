package limit

import (
	"net/netip"
	"sync"
)

const (
	// share is how many requests one client may have under way in a group, while the
	// group is contested: a quarter of the places that a master has for requests that
	// are passed.
	share = 32
	// contested is how many are under way in all from which on shares count. Below it
	// half of the places are free, and a client may be a whole office.
	contested = 64
)

// Shares bounds how many requests each client has under way, so that one of them cannot
// have all places of a group. The zero value is ready. A client is the one that [Limiter]
// means. The table has no more entries than there are requests under way.
type Shares struct {
	mu     sync.Mutex
	counts map[member]int
}

// member is a client in a group; the zero address stands for the group.
type member struct {
	group  string
	client netip.Addr
}

// Enter counts a request until leave is called. It reports false when the client has its
// share already.
func (s *Shares) Enter(group string, client netip.Addr) (leave func(), ok bool) {
	all := member{group: group}
	own := member{group, ClientOf(client)}
	if own == all {
		own.client = netip.IPv6Unspecified() // the clients without an address are one
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[own] >= share && s.counts[all] >= contested {
		return nil, false
	}
	if s.counts == nil {
		s.counts = make(map[member]int)
	}
	s.counts[own]++
	s.counts[all]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, m := range []member{own, all} {
			if s.counts[m]--; s.counts[m] == 0 {
				delete(s.counts, m)
			}
		}
	}), true
}
