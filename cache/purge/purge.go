package purge

import (
	"fmt"
	"hash/maphash"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// Scope is the extent of a purge.
type Scope uint8

const (
	All           Scope = iota // every stored response
	Site                       // a site's
	Group                      // a group's: a package's metadata and files
	GroupMetadata              // the metadata of a group
	Key                        // one key
	SiteMetadata               // the metadata of a site; older edges ignore its lines
)

// Purge names stored responses that must not be used any more.
type Purge struct {
	Scope Scope  `json:"scope"`
	Site  string `json:"site,omitempty"` // unless All
	Name  string `json:"name,omitempty"` // the group or the key's ID
	Soft  bool   `json:"soft,omitempty"` // stale at once, rather than gone
}

// maxMarks bounds the purges remembered one by one, to about 55 MB. When there
// are more, they are folded into one that covers everything older, as stale, and
// as gone up to the newest hard one: costly, and never wrong.
const maxMarks = 1 << 18

// Sequence has the purges as a sequence number per name. A purge covers a stored response
// when its fill began before the purge. So a purge of any extent is one map write, and it
// also covers fills under way.
//
// With a directory each purge is on disk before it is acknowledged, and the sequence grows
// across restarts, under any steps of the clock. A purge has the time for its number, in
// nanoseconds since 1970, or the number after the last one where that is larger.
type Sequence struct {
	Now    atomic.Uint64 // the sequence of a fill that begins now; only to be read
	Newest atomic.Uint64 // of the newest purge; only to be read
	limit  int           // of marks

	table atomic.Pointer[table] // finds the marks, without a lock

	// adding serialises purges, so that the journal has them in order. It is held over
	// the journal's I/O, and no look-up takes it.
	adding  sync.Mutex
	marks   map[target]marked // the table's marks by name, for the journal
	journal *journal          // nil keeps purges in memory only
}

type target struct {
	scope      Scope
	site, name string
}

// marked holds the newest purge of each sort.
type marked struct{ gone, stale uint64 }

func (m *marked) add(seq uint64, soft bool) {
	if soft {
		m.stale = max(m.stale, seq)
		return
	}
	m.gone = max(m.gone, seq)
}

// take adds the purges of n.
func (m *marked) take(n marked) {
	m.gone, m.stale = max(m.gone, n.gone), max(m.stale, n.stale)
}

func (m marked) covers(epoch uint64) policy.Mark {
	switch {
	case epoch < m.gone:
		return policy.MarkedGone
	case epoch < m.stale:
		return policy.MarkedStale
	}
	return policy.NotMarked
}

// Open reads the journal in dir; "" keeps purges in memory only.
func Open(sys fsys.Calls, dir string) (*Sequence, error) {
	p := newPurges(maxMarks)
	if dir == "" {
		return p, nil
	}
	j, err := openJournal(sys, filepath.Join(dir, "purges"), p)
	if err != nil {
		return nil, fmt.Errorf("cannot open the purges of %q: %w", dir, err)
	}
	p.journal = j
	return p, nil
}

func newPurges(limit int) *Sequence {
	p := &Sequence{limit: limit, marks: make(map[target]marked)}
	p.table.Store(newTable(maphash.MakeSeed(), marked{}, minSlots))
	return p
}

// replay applies a line of the journal.
func (p *Sequence) replay(l journalLine) {
	p.Now.Store(max(p.Now.Load(), l.Seq))
	if !l.Start {
		p.Newest.Store(max(p.Newest.Load(), l.Seq))
		p.apply(l.Seq, l.Purge)
	}
}

// lose covers all responses that a lost purge up to seq may have covered.
func (p *Sequence) lose(seq uint64) {
	p.Newest.Store(max(p.Newest.Load(), seq))
	p.apply(seq, Purge{Scope: All})
}

// Add puts purges in force. When it returns nil, they are on disk and no look-up
// that starts afterwards sees a covered response unmarked.
func (p *Sequence) Add(all ...Purge) error {
	p.adding.Lock()
	defer p.adding.Unlock()
	seq, lines := p.Now.Load(), make([]journalLine, 0, len(all))
	// In force before it is durable. The other order would let a look-up during a slow
	// fsync see the old bytes. This one lets a crash forget only an unacknowledged purge.
	for _, u := range all {
		before := seq
		seq = max(seq+1, uint64(time.Now().UnixNano()))
		p.apply(seq, u)
		lines = append(lines, journalLine{Seq: seq, After: before, Purge: u})
	}
	p.Newest.Store(seq)
	p.Now.Store(seq)
	if p.journal == nil {
		return nil
	}
	if err := p.journal.add(lines...); err != nil {
		return fmt.Errorf("purge is in force but not on disk, a restart would forget it: %w", err)
	}
	if p.journal.lines > 2*len(p.marks)+compactAfter {
		p.journal.compactSoon(&p.adding, p.limit)
	}
	return nil
}

// apply puts a purge in force. p.adding is held, or no other goroutine has p yet.
func (p *Sequence) apply(seq uint64, u Purge) {
	var m marked
	m.add(seq, u.Soft)
	if u.Scope == All {
		p.table.Load().floor.add(m)
		return
	}
	t := target{u.Scope, u.Site, u.Name}
	all := p.marks[t]
	all.add(seq, u.Soft)
	if len(p.marks) >= p.limit {
		p.fold(seq)
	}
	p.marks[t] = all
	now := p.table.Load()
	p.table.Store(now.add(now.hash(t), all))
}

// fold forgets the single marks and covers everything older instead.
func (p *Sequence) fold(seq uint64) {
	was := p.table.Load()
	floor := marked{gone: was.floor.load().gone, stale: seq}
	for _, m := range p.marks {
		floor.gone = max(floor.gone, m.gone)
	}
	clear(p.marks)
	p.table.Store(newTable(was.seed, floor, minSlots))
}

// Mark is the strongest mark of a purge that covers a response of k with that sequence.
func (p *Sequence) Mark(k store.Key, epoch uint64) policy.Mark {
	if epoch >= p.Newest.Load() {
		return policy.NotMarked
	}
	return p.table.Load().covers(k, epoch)
}

// Last is when the newest purge was put in force that covers responses of k, zero for none.
// It is never too early by another clock than this machine's: where that stood still or was
// set back, it is too late.
func (p *Sequence) Last(k store.Key) time.Time {
	if p.Newest.Load() == 0 {
		return time.Time{}
	}
	m := p.table.Load().of(k)
	seq := max(m.gone, m.stale)
	if seq == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(seq))
}

// Restore writes the journal anew, for a directory that was removed and has been made
// again.
func (p *Sequence) Restore() error {
	p.adding.Lock()
	defer p.adding.Unlock()
	if p.journal == nil {
		return nil
	}
	return p.journal.rewrite(p, p.journal.size, nil)
}

// foreign is above every number that a process gives while it has the journal: those are
// nanoseconds since 1970.
const foreign = 1 << 62

// Close leaves the journal to the next process. Purges are in force here afterwards, too, and
// are not on disk. They have numbers above all of the next process, whose responses may be
// seen here: a purge covers too many of those, and never too few.
func (p *Sequence) Close() error {
	p.adding.Lock()
	j := p.journal
	p.journal = nil
	if j != nil {
		p.Now.Store(max(p.Now.Load(), foreign))
	}
	p.adding.Unlock()
	if j == nil {
		return nil
	}
	return j.close()
}
