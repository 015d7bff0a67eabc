package cache

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Scope says how much a purge covers.
type Scope uint8

const (
	ScopeAll           Scope = iota // every stored response
	ScopeSite                       // a site's
	ScopeGroup                      // a group's: a package's metadata and files
	ScopeGroupMetadata              // the metadata of a group
	ScopeKey                        // one key
)

// Purge names stored responses that must not be used any more.
type Purge struct {
	Scope Scope  `json:"scope"`
	Site  string `json:"site,omitempty"` // unless ScopeAll
	Name  string `json:"name,omitempty"` // the group or the key's ID
	Soft  bool   `json:"soft,omitempty"` // stale at once, rather than gone
}

// maxMarks bounds the purges remembered one by one, to about 40 MB. When there
// are more, they are folded into one that covers everything older, as stale, and
// as gone up to the newest hard one: costly, and never wrong.
const maxMarks = 1 << 18

// purges remembers what was purged, as a sequence number per name: a stored
// response is covered when its fill began before the purge. So a purge is one
// map write however much it covers, and it also covers fills under way.
//
// With a directory each purge is on disk before it is acknowledged, and the
// sequence goes on growing across restarts.
type purges struct {
	seq    atomic.Uint64 // what a fill that begins now is born with
	newest atomic.Uint64 // of the newest purge
	limit  int           // of marks

	mu      sync.RWMutex
	marks   map[target]marked
	floor   marked // covers everything
	journal *os.File
	path    string

	// append serialises journal writes, which are I/O and so not under mu.
	// Lock order: append, then mu.
	append sync.Mutex
	torn   bool // the last line may be; the next begins a new one
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

func (m marked) covers(born uint64) Mark {
	switch {
	case born < m.gone:
		return MarkedGone
	case born < m.stale:
		return MarkedStale
	}
	return NotMarked
}

type journalLine struct {
	Seq uint64 `json:"seq"`
	Purge
}

// openPurges reads the journal in dir; "" keeps purges in memory only.
func openPurges(dir string) (*purges, error) {
	p := &purges{limit: maxMarks, marks: make(map[target]marked)}
	if dir == "" {
		return p, nil
	}
	p.path = filepath.Join(dir, "purges")
	lines, whole, err := p.load()
	if err != nil {
		return nil, fmt.Errorf("cannot read the purges of %q: %w", dir, err)
	}
	// Purges that never reached the disk had numbers too, and stored responses
	// may have been born with them: those are not given again.
	p.seq.Store(max(p.newest.Load(), uint64(time.Now().UnixNano())))
	if !whole || lines > 2*len(p.marks)+1024 { // else the next line would continue a torn one
		if err := p.compact(); err != nil {
			return nil, fmt.Errorf("cannot compact the purges of %q: %w", dir, err)
		}
	}
	p.journal, err = os.OpenFile(p.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the purges of %q: %w", dir, err)
	}
	return p, nil
}

// load applies the journal. A torn last line is a purge that was never
// acknowledged; a torn line elsewhere is damage, and makes everything stale.
func (p *purges) load() (lines int, whole bool, err error) {
	f, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	damaged := false
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return lines, false, err
		}
		whole = len(line) == 0
		if whole {
			break
		}
		lines++
		var l journalLine
		if json.Unmarshal(line, &l) == nil {
			p.apply(l.Seq, l.Purge)
			p.newest.Store(max(p.newest.Load(), l.Seq))
		} else if err == nil {
			damaged = true
		}
		if err == io.EOF {
			break
		}
	}
	if damaged {
		seq := p.newest.Add(1)
		p.apply(seq, Purge{Scope: ScopeAll, Soft: true})
	}
	return lines, whole && !damaged, nil
}

// compact rewrites the journal with one line for each mark.
func (p *purges) compact() error {
	tmp := p.path + ".new"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	w := bufio.NewWriter(f)
	put := func(t target, m marked) {
		for _, l := range []journalLine{
			{m.gone, Purge{t.scope, t.site, t.name, false}},
			{m.stale, Purge{t.scope, t.site, t.name, true}},
		} {
			if l.Seq > 0 {
				line, _ := json.Marshal(l)
				w.Write(append(line, '\n'))
			}
		}
	}
	put(target{}, p.floor)
	for t, m := range p.marks {
		put(t, m)
	}
	return errors.Join(w.Flush(), f.Sync(), f.Close(), os.Rename(tmp, p.path))
}

// now is the sequence that a fill beginning at this moment is born with.
func (p *purges) now() uint64 { return p.seq.Load() }

// add puts a purge in force. When it returns nil, the purge is on disk and no
// look-up that starts afterwards sees what it covers unmarked.
func (p *purges) add(u Purge) error {
	p.append.Lock()
	defer p.append.Unlock()
	seq := p.seq.Load() + 1
	// In force before it is durable: were it the other way round, a crash
	// between the two could only forget a purge nobody was told of, but a
	// look-up during a slow fsync would still see the old bytes.
	p.apply(seq, u)
	p.newest.Store(seq)
	p.seq.Store(seq)
	if p.journal == nil {
		return nil
	}
	line, err := json.Marshal(journalLine{seq, u})
	if p.torn {
		line = append([]byte("\n"), line...)
	}
	if err == nil {
		_, err = p.journal.Write(append(line, '\n'))
	}
	if err == nil {
		err = p.journal.Sync()
	}
	if p.torn = err != nil; p.torn {
		return fmt.Errorf("purge is in force but not on disk, a restart would forget it: %w", err)
	}
	return nil
}

func (p *purges) apply(seq uint64, u Purge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.Scope == ScopeAll {
		p.floor.add(seq, u.Soft)
		return
	}
	t := target{u.Scope, u.Site, u.Name}
	m := p.marks[t]
	m.add(seq, u.Soft)
	if len(p.marks) >= p.limit {
		p.fold(seq)
	}
	p.marks[t] = m
}

// fold forgets the single marks and covers everything older instead.
func (p *purges) fold(seq uint64) {
	for _, m := range p.marks {
		p.floor.gone = max(p.floor.gone, m.gone)
	}
	p.floor.stale = seq
	clear(p.marks)
}

// mark says what purges have done to a response of k that was born then.
func (p *purges) mark(k Key, born uint64) Mark {
	if born >= p.newest.Load() {
		return NotMarked
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	worst := p.floor.covers(born)
	worst = max(worst, p.marks[target{ScopeKey, k.Site, k.ID}].covers(born))
	worst = max(worst, p.marks[target{scope: ScopeSite, site: k.Site}].covers(born))
	if k.Group != "" {
		worst = max(worst, p.marks[target{ScopeGroup, k.Site, k.Group}].covers(born))
		if k.Metadata {
			worst = max(worst, p.marks[target{ScopeGroupMetadata, k.Site, k.Group}].covers(born))
		}
	}
	return worst
}

func (p *purges) close() error {
	if p.journal == nil {
		return nil
	}
	return p.journal.Close()
}
