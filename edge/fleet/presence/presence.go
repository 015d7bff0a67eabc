package presence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"pkgedge/edge/fleet/figures"
)

const (
	hereSubject  = "edge.here"
	whereSubject = "edge.where"

	// beat is the time between two words of an edge, and beatCost how much longer it is for
	// each other one.
	beat, beatCost = 2 * time.Second, 10 * time.Millisecond
	// missedBeats is how many may be missing before an edge is away.
	missedBeats = 3
	// remembered is for how long an edge is that went away without a word.
	remembered = time.Hour
	// maxMembers bounds the edges that are known: others' messages are not trusted to be few.
	maxMembers = 4096
	// longestWhere bounds how long a question is answered once more, and maxWhere how many are
	// at a time.
	longestWhere, maxWhere = 30 * time.Second, 64
)

// Self is this edge, as it tells of itself.
type Self struct {
	Name    string
	Pop     string
	Address func() string // where siblings ask, "" for nowhere
	Version string
	Log     Log
}

// Log is this edge's place in the log of purges.
type Log interface {
	// Place is a sequence, and the id of the log that it is of.
	Place() (log string, seq uint64)
	Live() bool
	Await(ctx context.Context, log string, seq uint64) error
}

// word is the word of an edge about itself.
type word struct {
	Name    string `json:"name"`
	Pop     string `json:"pop,omitempty"`
	Address string `json:"address,omitempty"`
	Version string `json:"version,omitempty"`
	Log     string `json:"log,omitempty"` // that the place is of
	Place   uint64 `json:"place"`
	Live    bool   `json:"live"`
	Every   int64  `json:"every"` // milliseconds to the next word
	Leaving bool   `json:"leaving,omitempty"`
}

// where is a question: all edges tell when they have come so far in that log.
type where struct {
	Log string `json:"log,omitempty"`
	Seq uint64 `json:"seq"`
}

// reached reports whether a place is that far.
func (q where) reached(log string, seq uint64) bool { return log == q.Log && seq >= q.Seq }

// Presence is the knowledge of an edge of the others. It is safe for concurrent use.
type Presence struct {
	self  Self
	slots chan struct{}

	mu      sync.Mutex
	conn    *nats.Conn // nil before Run
	members map[string]known
}

type known struct {
	word
	at time.Time
}

// New knows this edge alone.
func New(self Self) *Presence {
	return &Presence{self: self, slots: make(chan struct{}, maxWhere), members: make(map[string]known)}
}

// Run tells of this edge and hears of others until ctx is done.
func (p *Presence) Run(ctx context.Context, nc *nats.Conn) {
	var answering sync.WaitGroup
	defer answering.Wait()
	here, err := nc.Subscribe(hereSubject, func(m *nats.Msg) { p.hear(m.Data, time.Now()) })
	if err != nil { // the connection is closed
		return
	}
	defer func() { _ = here.Unsubscribe() }()
	asked, err := nc.Subscribe(whereSubject, func(m *nats.Msg) {
		select {
		case p.slots <- struct{}{}:
			answering.Go(func() {
				defer func() { <-p.slots }()
				p.answer(ctx, m)
			})
		default: // another edge asks again, or counts this one as missing
		}
	})
	if err != nil {
		return
	}
	defer func() { _ = asked.Unsubscribe() }()
	p.mu.Lock()
	p.conn = nc
	p.mu.Unlock()
	p.greet(ctx)
	for ctx.Err() == nil {
		_ = nc.Publish(hereSubject, p.word(false)) // fails while there is no connection
		select {
		case <-time.After(p.every()):
		case <-ctx.Done():
		}
	}
	_ = nc.Publish(hereSubject, p.word(true))
	_ = nc.FlushTimeout(100 * time.Millisecond)
}

// greet asks the others for a word at once.
func (p *Presence) greet(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	p.Reached(limited, "", 0)
}

// every is the time between two words.
func (p *Presence) every() time.Duration {
	return max(beat, time.Duration(p.Count())*beatCost)
}

// word is the word of this edge about itself, as it is now.
func (p *Presence) word(leaving bool) []byte {
	log, place := p.self.Log.Place()
	return p.wordAt(log, place, leaving)
}

func (p *Presence) wordAt(log string, place uint64, leaving bool) []byte {
	w := word{
		Name: p.self.Name, Pop: p.self.Pop, Address: p.self.Address(), Version: p.self.Version,
		Log: log, Place: place, Live: p.self.Log.Live(), Every: p.every().Milliseconds(), Leaving: leaving,
	}
	data, err := json.Marshal(w)
	if err != nil {
		panic(err) // it has strings and numbers alone
	}
	return data
}

// hear takes the word of an edge. It returns it, without a name where it is none.
func (p *Presence) hear(data []byte, now time.Time) (w word) {
	if json.Unmarshal(data, &w) != nil || w.Name == "" || len(w.Name) > 63 {
		return word{}
	}
	if w.Name == p.self.Name {
		return w
	}
	w.Every = min(max(w.Every, beat.Milliseconds()), time.Minute.Milliseconds())
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.Leaving {
		delete(p.members, w.Name)
		return word{}
	}
	if _, ok := p.members[w.Name]; !ok && len(p.members) >= maxMembers {
		return w
	}
	p.members[w.Name] = known{w, now}
	return w
}

// answer tells how far this edge is, and once more when it has come as far as was asked.
func (p *Presence) answer(ctx context.Context, m *nats.Msg) {
	var q where
	if m.Reply == "" || json.Unmarshal(m.Data, &q) != nil {
		return
	}
	log, at := p.self.Log.Place() // once: one that moves now is told below
	_ = m.Respond(p.wordAt(log, at, false))
	if q.Seq == 0 || q.reached(log, at) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, longestWhere)
	defer cancel()
	if p.self.Log.Await(limited, q.Log, q.Seq) == nil {
		_ = m.Respond(p.word(false))
	}
}

// Reached asks the other edges how far they are, until each of those that are known has read up
// to seq of a log, or ctx is done. It returns the names of those that have, and of those that have
// not, without this edge.
func (p *Presence) Reached(ctx context.Context, log string, seq uint64) (reached, missing []string) {
	q := where{log, seq}
	is := make(map[string]bool)
	defer func() {
		for _, m := range p.others(time.Now()) {
			if is[m.Name] {
				reached = append(reached, m.Name)
			} else {
				missing = append(missing, m.Name)
			}
		}
	}()
	p.mu.Lock()
	nc := p.conn
	p.mu.Unlock()
	if nc == nil {
		return nil, nil
	}
	inbox := nc.NewInbox()
	answers := make(chan *nats.Msg, maxMembers)
	sub, err := nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, nil
	}
	defer func() { _ = sub.Unsubscribe() }()
	question, err := json.Marshal(q)
	if err != nil || nc.PublishRequest(whereSubject, inbox, question) != nil {
		return nil, nil
	}
	for {
		if others := p.others(time.Now()); seq > 0 && !slices.ContainsFunc(others, func(m figures.Edge) bool { return !is[m.Name] }) {
			return nil, nil
		}
		select {
		case m := <-answers:
			if w := p.hear(m.Data, time.Now()); w.Name != "" && q.reached(w.Log, w.Place) {
				is[w.Name] = true
			}
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// Count is how many edges there are, this one among them.
func (p *Presence) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 1 + len(p.members)
}

// Members are all edges, this one first, and the others by name.
func (p *Presence) Members() []figures.Edge {
	now := time.Now()
	_, at := p.self.Log.Place()
	self := figures.Edge{
		Name: p.self.Name, Pop: p.self.Pop, Address: p.self.Address(), Version: p.self.Version,
		Place: at, Live: p.self.Log.Live(), Heard: now.UTC().Truncate(time.Second),
	}
	return append([]figures.Edge{self}, p.others(now)...)
}

// others are the other edges, by name. Those that were silent for too long are forgotten.
func (p *Presence) others(now time.Time) []figures.Edge {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]figures.Edge, 0, len(p.members))
	for name, k := range p.members {
		silent := now.Sub(k.at)
		if silent > remembered {
			delete(p.members, name)
			continue
		}
		away := silent > missedBeats*time.Duration(k.Every)*time.Millisecond
		all = append(all, figures.Edge{
			Name: k.Name, Pop: k.Pop, Address: k.Address, Version: k.Version, Place: k.Place, Live: k.Live && !away, Away: away, Heard: k.at.UTC().Truncate(time.Second),
		})
	}
	slices.SortFunc(all, func(a, b figures.Edge) int {
		return cmp.Or(strings.Compare(a.Pop, b.Pop), strings.Compare(a.Name, b.Name))
	})
	return all
}
