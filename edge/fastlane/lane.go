package fastlane

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/edge/framing"
)

const (
	// MaxBody is the size of the largest body, in bytes, that the lane sends. A larger one
	// takes so long that the lane gains nothing.
	MaxBody = 8 << 20
	// copied is the size of the largest body that is copied behind its head. Two parts of
	// an answer in one system call cost more, below that.
	copied = 16 << 10
	// AnswerSize is about the memory of an answer in the table, in bytes, without the body.
	AnswerSize = 2 << 10
)

// Lane repeats answers. It is safe for concurrent use.
type Lane struct {
	identity []byte
	answers  table
	draining atomic.Bool
}

// New returns a lane that remembers so many answers, and answers no request that has passed
// an edge of that identity.
func New(identity string, answers int) *Lane {
	return &Lane{identity: []byte(identity), answers: newTable(answers)}
}

// Offer keeps an answer of the slow path.
func (l *Lane) Offer(o *Offer) {
	if a := newAnswer(o); a != nil {
		l.answers.put(a)
	}
}

// Knows reports whether the lane has an answer of that key which could be given now.
func (l *Lane) Knows(key string, now time.Time) bool {
	a := l.answers.find([]byte(key))
	if a == nil {
		return false
	}
	body, _, ok := a.lookup.Find(now)
	if body.Open != nil {
		body.Open.Close()
	}
	return ok
}

// Forget drops all answers.
func (l *Lane) Forget() { l.answers.clear() }

// Drain ends the lane: requests are left to net/http, which closes connections politely.
func (l *Lane) Drain() { l.draining.Store(true) }

// work is the memory of one answer.
type work struct {
	request Request
	out     []byte
}

var works = sync.Pool{New: func() any { return new(work) }}

// Answer implements framing.Lane.
func (l *Lane) Answer(c *framing.Conn, h *framing.Head) (answered bool, err error) {
	if l.draining.Load() {
		return false, nil
	}
	w := works.Get().(*work)
	defer works.Put(w)
	if !w.request.read(h, c.Secure(), l.identity) {
		return false, nil
	}
	a := l.answers.find(w.request.key)
	if a == nil {
		return false, nil
	}
	status := a.status(&w.request)
	if status == 0 {
		return false, nil
	}
	now := time.Now()
	body, figures, ok := a.lookup.Find(now)
	if !ok {
		return false, nil
	}
	if body.Open != nil {
		defer body.Open.Close()
	}
	w.request.Peer = c.Peer()
	client, ok := a.lookup.Begin(&w.request, now)
	if !ok {
		return false, nil
	}
	head := &a.whole
	if status == http.StatusNotModified {
		head, body = &a.same, framing.Body{}
	}
	sent, err := w.send(c, head, &body, now, &figures)
	a.lookup.End(&w.request, client, now, status, sent, err)
	return true, err
}

// send sends an answer, and returns how much of its body was sent.
func (w *work) send(c *framing.Conn, h *head, body *framing.Body, now time.Time, f *Figures) (int64, error) {
	w.out = h.append(w.out[:0], now, f)
	size := int64(len(w.out))
	var n int64
	var err error
	if body.File == nil && len(body.Bytes) <= copied && !c.Secure() {
		w.out = append(w.out, body.Bytes...)
		n, err = c.Send(now, w.out, framing.Body{})
	} else {
		n, err = c.Send(now, w.out, *body)
	}
	return max(0, n-size), err
}

// ways is the number of slots that a key may be in.
const ways = 4

// table finds answers by their keys. It has a fixed number of slots, and no lock: a slot is
// replaced as a whole.
type table struct {
	seed  maphash.Seed
	slots []atomic.Pointer[answer]
}

func newTable(size int) table {
	n := 1 << bits.Len(uint(max(size, ways)-1))
	return table{maphash.MakeSeed(), make([]atomic.Pointer[answer], n)}
}

// set returns the slots of a hash.
func (t *table) set(hash uint64) []atomic.Pointer[answer] {
	i := int(hash) & (len(t.slots) - 1) &^ (ways - 1)
	return t.slots[i : i+ways]
}

func (t *table) find(key []byte) *answer {
	hash := maphash.Bytes(t.seed, key)
	for i := range t.set(hash) {
		if a := t.set(hash)[i].Load(); a != nil && a.hash == hash && a.key == string(key) {
			return a
		}
	}
	return nil
}

// put keeps an answer in the place of one with its key, or in an empty slot, or else in the
// place of any.
func (t *table) put(a *answer) {
	a.hash = maphash.String(t.seed, a.key)
	set := t.set(a.hash)
	at := -1
	for i := range set {
		old := set[i].Load()
		if old != nil && old.key == a.key {
			at = i
			break
		}
		if old == nil && at < 0 {
			at = i
		}
	}
	if at < 0 {
		at = rand.IntN(ways)
	}
	set[at].Store(a)
}

func (t *table) clear() {
	for i := range t.slots {
		t.slots[i].Store(nil)
	}
}
