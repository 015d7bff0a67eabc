package purge

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pkgedge/cache/fsys"
)

// journal keeps purges on disk, a line for each: its CRC32C, a blank, and JSON.
// A line is synced before its purge is acknowledged. Older edges wrote no checksum.
//
// The loss depends on the damaged line:
//
//   - a last line without an end was never acknowledged, and does not count unless it can
//     be read. A power cut leaves no other damage;
//   - any other unreadable line was an acknowledged purge, perhaps a hard one of everything.
//     All responses stored before the next readable line are gone. No crash and no power
//     cut causes that damage.
type journal struct {
	sys  fsys.Calls
	path string
	file *os.File
	size int64 // bytes of whole lines
	torn bool  // there may be bytes behind them
	lost bool  // its name may be the older file's after a power cut

	lines      int // purges and starts
	compacting bool
	wg         sync.WaitGroup
}

var crc32c = crc32.MakeTable(crc32.Castagnoli)

// compactAfter is the number of lines, beyond twice the marks, after which the journal is
// rewritten. A line has about 100 bytes, and 200,000 are read in a second.
const compactAfter = 4096

// journalLine is a purge, or with Start the first sequence of an edge. Responses stored after
// the last purge have that sequence, and the next edge must not begin before it.
type journalLine struct {
	Seq   uint64 `json:"seq"`
	After uint64 `json:"after,omitempty"` // the sequence before it, to know how far a damaged line before this one reached
	Start bool   `json:"start,omitempty"`
	Purge
}

func (l journalLine) encode() []byte {
	raw, _ := json.Marshal(l) // strings and numbers
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(raw, crc32c), raw)
}

func decodeJournalLine(line []byte) (l journalLine, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) > 9 && line[8] == ' ' {
		if string(line[:8]) != fmt.Sprintf("%08x", crc32.Checksum(line[9:], crc32c)) {
			return l, false
		}
		line = line[9:]
	}
	return l, json.Unmarshal(line, &l) == nil
}

// openJournal replays the journal into p, and begins a new sequence.
func openJournal(sys fsys.Calls, path string, p *Sequence) (*journal, error) {
	j := &journal{sys: sys, path: path}
	have, err := j.load(p, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	// Purges that never reached the disk had numbers too, and stored responses
	// may have them as their epoch: those are not given again.
	p.Now.Store(max(p.Now.Load()+1, uint64(time.Now().UnixNano())))
	if have.dangling {
		p.lose(p.Now.Load())
	}
	if j.file, err = sys.Open(path, os.O_CREATE|os.O_RDWR); err != nil {
		return nil, err
	}
	j.torn, j.lost = true, true // until unacknowledged bytes are cut off, and the file's name is durable
	err = j.startSequence(p, have)
	if err != nil && !fsys.IsFull(err) { // a full disk leaves it as it is
		j.file.Close()
		return nil, err
	}
	return j, nil
}

// startSequence appends the lines that the journal lacks, and rewrites it when it is long.
func (j *journal) startSequence(p *Sequence, have loaded) error {
	if have.tail != nil {
		if err := j.add(*have.tail); err != nil {
			return err
		}
	}
	if err := j.add(journalLine{Seq: p.Now.Load(), Start: true}); err != nil {
		return err
	}
	if !have.damaged && j.lines <= 2*len(p.marks)+compactAfter {
		return nil
	}
	return j.rewrite(p, j.size, nil)
}

// loaded is the result of reading a journal.
type loaded struct {
	tail     *journalLine // a last line that lacks only its end
	damaged  bool
	dangling bool // and no readable line follows
}

// load replays the whole lines of the first end bytes into p.
func (j *journal) load(p *Sequence, end int64) (have loaded, err error) {
	j.size, j.lines = 0, 0
	f, err := j.sys.Open(j.path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return have, nil
	}
	if err != nil {
		return have, err
	}
	defer f.Close()
	r := bufio.NewReader(io.NewSectionReader(j.sys.At(f, 0), 0, end))
	for {
		line, err := r.ReadBytes('\n')
		l, ok := decodeJournalLine(line)
		if err == io.EOF {
			if ok {
				p.replay(l)
				have.tail = &l
			}
			return have, nil
		}
		if err != nil {
			return have, err
		}
		j.size += int64(len(line))
		j.lines++
		if !ok {
			have.damaged, have.dangling = true, true
			continue
		}
		if have.dangling {
			p.lose(cmp.Or(l.After, l.Seq-1))
			have.dangling = false
		}
		p.replay(l)
	}
}

// block is the number of bytes that a disk writes whole or not at all.
const block = 4096

// add appends lines. When it returns nil, they are on disk; otherwise, none of them
// counts. No write reaches from one block into the next, and each is synced before
// the next one: a power cut leaves the bytes before some offset, and never the end of a
// line without its beginning, which would be damage. So many lines take few syncs,
// one for each block.
func (j *journal) add(lines ...journalLine) error {
	if len(lines) == 0 {
		return nil
	}
	if err := j.settle(); err != nil {
		return err
	}
	var b []byte
	for _, l := range lines {
		b = append(b, l.encode()...)
	}
	end := j.size
	for len(b) > 0 {
		n := min(len(b), int(block-end%block))
		_, err := j.sys.Write(j.file, b[:n], end)
		if err == nil {
			err = j.sys.Sync(j.file)
		}
		if err != nil {
			j.torn = j.sys.Cut(j.file, j.size) != nil
			return err
		}
		b, end = b[n:], end+int64(n)
	}
	j.size = end
	j.lines += len(lines)
	return nil
}

// settle repeats a cut or a sync of the directory that failed before. Without them an added
// line would not be durable.
func (j *journal) settle() error {
	if j.torn {
		if err := j.sys.Cut(j.file, j.size); err != nil {
			return err
		}
		j.torn = false
	}
	if j.lost {
		if err := syncDir(j.sys, filepath.Dir(j.path)); err != nil {
			return err
		}
		j.lost = false
	}
	return nil
}

// compactSoon rewrites the journal in the background. adding is held, and taken
// again for the end of it only: the rewrite reads the journal from the file, so
// that look-ups and purges go on meanwhile.
func (j *journal) compactSoon(adding *sync.Mutex, limit int) {
	if j.compacting {
		return
	}
	j.compacting = true
	end := j.size
	j.wg.Go(func() {
		p := newPurges(limit)
		old := &journal{sys: j.sys, path: j.path}
		have, err := old.load(p, end)
		if err == nil && !have.damaged {
			err = j.rewrite(p, end, adding)
		}
		adding.Lock()
		defer adding.Unlock()
		j.compacting = false
		if err != nil {
			j.lines = 0 // tried again when as many have been added
		}
	})
}

// rewrite replaces the journal's first end bytes by the marks of p, and keeps the
// rest. adding, unless nil, is taken for the last part.
func (j *journal) rewrite(p *Sequence, end int64, adding *sync.Mutex) error {
	path := j.path + ".new"
	f, err := j.sys.Open(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR)
	if err != nil {
		return err
	}
	n := &journal{sys: j.sys, path: j.path, file: f}
	err = n.writeMarks(p)
	if adding != nil {
		adding.Lock()
		defer adding.Unlock()
	}
	if err == nil {
		err = n.appendRest(j, end)
	}
	if err == nil {
		err = j.sys.Rename(path, j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), j.sys.Remove(path))
	}
	old := j.file
	j.file, j.size, j.lines, j.torn = n.file, n.size, n.lines, false
	old.Close()
	// Until the directory is synced, a power cut could bring back the old file,
	// which lacks the lines added from now on.
	j.lost = true
	return j.settle()
}

// writeMarks writes a line for each mark, and syncs them.
func (j *journal) writeMarks(p *Sequence) error {
	var b []byte
	flush := func() error {
		_, err := j.sys.Write(j.file, b, j.size)
		j.size += int64(len(b))
		b = b[:0]
		return err
	}
	put := func(t target, m marked) (err error) {
		for _, l := range []journalLine{
			{Seq: m.gone, Purge: Purge{t.scope, t.site, t.name, false}},
			{Seq: m.stale, Purge: Purge{t.scope, t.site, t.name, true}},
		} {
			if l.Seq > 0 {
				b = append(b, l.encode()...)
				j.lines++
			}
		}
		if len(b) > 64<<10 {
			err = flush()
		}
		return err
	}
	if err := put(target{}, p.table.Load().floor.load()); err != nil {
		return err
	}
	for t, m := range p.marks {
		if err := put(t, m); err != nil {
			return err
		}
	}
	b = append(b, journalLine{Seq: p.Now.Load(), Start: true}.encode()...)
	j.lines++
	return errors.Join(flush(), j.sys.Sync(j.file))
}

// appendRest appends the bytes of another journal behind its first end bytes.
func (j *journal) appendRest(from *journal, end int64) error {
	rest := make([]byte, from.size-end)
	if len(rest) == 0 {
		return nil
	}
	if _, err := j.sys.Read(from.file, rest, end); err != nil {
		return err
	}
	if _, err := j.sys.Write(j.file, rest, j.size); err != nil {
		return err
	}
	j.size += int64(len(rest))
	j.lines += bytes.Count(rest, []byte("\n"))
	return j.sys.Sync(j.file)
}

func (j *journal) close() error {
	j.wg.Wait()
	return j.file.Close()
}

// syncDir makes the names in a directory durable.
func syncDir(sys fsys.Calls, dir string) error {
	f, err := sys.Open(dir, os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(sys.Sync(f), f.Close())
}
