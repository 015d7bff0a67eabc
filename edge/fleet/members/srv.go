package members

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Resolver looks up service records. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// SRV is the list of the targets of a DNS service record, looked up anew again and again.
// While it cannot be looked up, or has no target, the last list stays: an edge that is gone
// is found out by asking it.
type SRV struct {
	name     string
	resolver Resolver
	notify   func(error)

	mu  sync.Mutex
	all []string // replaced, never changed
}

const (
	// every is the time between two look-ups: a new member has no share before.
	every = 10 * time.Second
	// longestLookup bounds one.
	longestLookup = 5 * time.Second
	// mostMembers bounds the list: each is hashed for each fetch.
	mostMembers = 256
)

// NewSRV returns an empty list for the record of a name. notify is told when look-ups begin to
// fail, and with nil when they succeed again; it must not block.
func NewSRV(name string, resolver Resolver, notify func(error)) *SRV {
	return &SRV{name: name, resolver: resolver, notify: notify}
}

// Members is the list as it was last looked up. It is not to be changed.
func (s *SRV) Members() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// Run looks the record up until ctx is done.
func (s *SRV) Run(ctx context.Context) {
	failing := false
	for {
		err := s.lookup(ctx)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != failing {
			failing = err != nil
			s.notify(err)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return
		}
	}
}

func (s *SRV) lookup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longestLookup)
	defer cancel()
	_, records, err := s.resolver.LookupSRV(ctx, "", "", s.name)
	if err != nil && len(records) == 0 { // some of them may be malformed
		return err
	}
	all := addresses(records)
	if len(all) == 0 {
		return errNoTarget
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = all
	return nil
}

// addresses are the targets of records, in order and without doubles. Their priorities and
// weights count for nothing: a place has one owner.
func addresses(records []*net.SRV) (all []string) {
	for _, r := range records {
		if host := strings.TrimSuffix(strings.ToLower(r.Target), "."); host != "" && r.Port != 0 {
			all = append(all, net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), mostMembers)]
}

var errNoTarget = errors.New("the record has no target")
