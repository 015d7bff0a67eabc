package pool

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// complaints bound the lines of the log about masters that fail requests: one for each
// master, endpoint and sort of failure in quietFor. The next one says how many there were
// in between.
type complaints struct {
	mu sync.Mutex
	of map[complaint]*silence
}

// complaint is a sort of failure of a master at an endpoint.
type complaint struct{ master, endpoint, word string }

// silence is the time in which a sort of failure is counted, and not told again.
type silence struct {
	until time.Time
	more  int
}

const (
	quietFor = 10 * time.Second
	// maxComplaints bounds complaints. There are few masters, and few words.
	maxComplaints = 256
)

// admit says whether a line may be written, and how many were not since the last one.
func (c *complaints) admit(about complaint, now time.Time) (more int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of[about]
	if s != nil && now.Before(s.until) {
		s.more++
		return 0, false
	}
	if s != nil {
		more = s.more
	}
	if c.of == nil || len(c.of) >= maxComplaints {
		c.of = make(map[complaint]*silence)
	}
	c.of[about] = &silence{until: now.Add(quietFor)}
	return more, true
}

// worthALine says whether a failure that is held against no master is told all the same, as
// a 429 is: not where the master lags, which it may, nor where nobody waits any more.
func worthALine(b *health.Blame) bool {
	return b.Word != "older" && b.Word != "lost" && b.Word != "abandoned"
}

// complain has the log tell of a request that a master failed, whether or not another
// master answered it.
func (p *Pool) complain(r kind.Route, t *Trial) {
	more, ok := p.complaints.admit(complaint{t.Name, r.Endpoint, health.Word(t.Err)}, time.Now())
	if !ok {
		return
	}
	path, _, _ := strings.Cut(r.Path, "?") // a query may be a secret
	if r.Log != "" {
		path = r.Log
	}
	attrs := []any{"site", p.cfg.Site, "master", t.Name, "role", t.Role, "did", t.Deed(), "request", r.Endpoint, "path", path, "cause", t.Err}
	if more > 0 {
		attrs = append(attrs, slog.Int("more", more))
	}
	p.cfg.Log.Warn("a master failed a request", attrs...)
}
