package complaints

import (
	"sync"
	"time"
)

// Complaints admit one line about each thing in [Quiet]. The next line says how many there were in
// between. The zero Complaints admit the first line. They are safe for concurrent use.
type Complaints struct {
	mu sync.Mutex
	of map[About]*silence
}

// About is a sort of failure of a master at an endpoint.
type About struct{ Master, Endpoint, Word string }

// silence is the time in which a sort of failure is counted, and not told again.
type silence struct {
	until time.Time
	more  int
}

const (
	// Quiet is how long a thing is not told again.
	Quiet = 10 * time.Second
	// most bounds the table. There are few masters, and few words.
	most = 256
)

// Admit says whether a line may be written, and how many were not since the last one.
func (c *Complaints) Admit(about About, now time.Time) (more int, ok bool) {
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
	if c.of == nil || len(c.of) >= most {
		c.of = make(map[About]*silence)
	}
	c.of[about] = &silence{until: now.Add(Quiet)}
	return more, true
}
