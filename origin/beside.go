package origin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// largestBeside is the largest document beside another one, in bytes.
const largestBeside = 1 << 20

// fetchBeside gets what belongs to a document, from the master that sent it. What
// that master does not have is left out.
func (s *Site) fetchBeside(ctx context.Context, m *master, a Ask) (map[string][]byte, error) {
	if len(a.Route.Companions) == 0 {
		return nil, nil
	}
	all := make(map[string][]byte, len(a.Route.Companions))
	for _, path := range a.Route.Companions {
		status, body, err := s.peek(ctx, m, a, path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("cannot get %s beside it: %w", path, err)
		case status == http.StatusOK:
			all[path] = body
		case !transport.Absence(status):
			return nil, fmt.Errorf("cannot get %s beside it: %w", path, &transport.StatusError{Status: status})
		}
	}
	return all, nil
}

// peek asks one master for a small document. It is for what comes with another
// answer of that master, and has the place of that.
func (s *Site) peek(ctx context.Context, m *master, a Ask, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := s.glance(ctx, cancel, m, Ask{Route: kind.Route{Class: kind.File, Path: path}, Header: a.Header})
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return r.StatusCode, nil, nil
	}
	body, err = io.ReadAll(io.LimitReader(s.pool.transport.IdleBody(r.Body, cancel), largestBeside+1))
	if err == nil && len(body) > largestBeside {
		err = fmt.Errorf("%w: more than %d bytes", errLarge, largestBeside)
	}
	return r.StatusCode, body, err
}

// glance sends a request of peek or has, whose context cancel ends.
func (s *Site) glance(ctx context.Context, cancel context.CancelCauseFunc, m *master, a Ask) (*http.Response, error) {
	req, err := s.pool.request(ctx, m, a)
	if err != nil {
		return nil, err
	}
	late := s.pool.transport.AfterLongest(cancel)
	r, err := m.client.Do(req)
	if late.Stop(); err != nil {
		if context.Cause(ctx) == transport.ErrLate {
			err = transport.ErrLate
		}
		s.pool.observe(m.name, reason(err))
		return nil, err
	}
	s.pool.observe(m.name, strconv.Itoa(r.StatusCode))
	return r, nil
}

// has says whether a master answers for a file, which may be a large one.
func (s *Site) has(ctx context.Context, m *master, a Ask, path string) bool {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := s.glance(ctx, cancel, m, Ask{Route: kind.Route{Class: kind.File, Path: path}, Header: a.Header, Head: true})
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

const (
	// holdFor is how many seconds a document that is held back is not asked for
	// again.
	holdFor = "60"
	// longestHold is how long one is held back at most: what it promises may
	// never come.
	longestHold = 15 * time.Minute
	// maxHeld bounds what is remembered of them.
	maxHeld = 64
)

// held are the documents that are held back: by key, since when, and what for.
type held struct {
	mu    sync.Mutex
	since map[string]hold
}

type hold struct {
	needs []string
	begun time.Time
}

// early says that a document promises what its master does not have yet, and that
// what is stored is to be used a little longer.
func (s *Site) early(ctx context.Context, m *master, a Ask, docs []kind.Document) bool {
	var needs []string
	for _, d := range docs {
		needs = append(needs, d.Needs...)
	}
	if len(needs) == 0 || s.held.over(a.Route.Key, needs, time.Now()) {
		return false
	}
	for _, path := range needs {
		if !s.has(ctx, m, a, path) {
			s.pool.observe(m.name, "early")
			return true
		}
	}
	return false
}

// over says whether a document has been held back for those needs long enough.
func (h *held) over(key string, needs []string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.since[key]; ok && slices.Equal(old.needs, needs) {
		return now.Sub(old.begun) >= longestHold
	}
	if h.since == nil {
		h.since = make(map[string]hold)
	}
	for k, old := range h.since {
		if len(h.since) >= maxHeld || now.Sub(old.begun) > 2*longestHold {
			delete(h.since, k)
		}
	}
	h.since[key] = hold{needs, now}
	return false
}
