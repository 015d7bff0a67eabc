package openfile

import (
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// File is the open file of a stored response, with its fields. Look-ups share it, so that
// nobody may move its offset. It is closed when the table has dropped it and the last user
// Has closed it.
type File struct {
	Info    fs.FileInfo
	Changed int64 // the file's change time

	Head    record.Head
	Raw     fsys.At // unchecked
	uses    atomic.Int64
	kept    atomic.Bool // by the table
	visited atomic.Bool // since the table looked for a file to drop
}

// New returns a file that has one user. The body is at raw.
func New(h record.Head, info fs.FileInfo, raw fsys.At) *File {
	o := &File{Info: info, Changed: fsys.ChangeTime(info), Head: h, Raw: raw}
	o.uses.Store(1)
	return o
}

// Use counts one more user. It is false where the file is closed.
func (f *File) Use() bool {
	for {
		n := f.uses.Load()
		if n == 0 {
			return false
		}
		if f.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Close ends one use.
func (f *File) Close() error {
	if f.uses.Add(-1) == 0 {
		return f.Raw.File.Close()
	}
	return nil
}

// Current reports whether a look-up would find the file. It is false also where only a
// look-up can tell.
func (f *File) Current() bool {
	if !f.kept.Load() {
		return false
	}
	if !f.visited.Load() {
		f.visited.Store(true)
	}
	return true
}

// Stored returns the fields of the response.
func (f *File) Stored() *store.Meta { return f.Head.Meta }

// InFile returns the open file, and where in it the body has that offset.
func (f *File) InFile(off int64) (*os.File, int64) { return f.Raw.File, f.Raw.Base + off }

// memory is about the size of a File in memory, in bytes, with the part of the kernel.
func (f *File) memory() int64 { return f.Head.Meta.Overhead() + 1024 }

// Table has the open files of the latest look-ups that were answered from disk. A
// hit that finds its file here does not open, read and decode it.
//
// A file in the table is the one that its name has: each change of a name by the tier drops
// it behind the change, under the key's lock. A look-up that opened the file before must not
// put it here after that, which its ticket tells:
//
//	look-up: has a ticket, opens version 1
//	commit:  version 2 gets the name; drop, which makes the ticket another one
//	look-up: keep refuses version 1
//
// Until a look-up has opened a file there is no ticket, and so nothing to drop: Some is false
// then. That look-up has its ticket behind the opening, if the file has its name still:
//
//	look-up: opens version 1
//	commit:  version 2 gets the name; Some is false, so no drop
//	look-up: Some is true, has a ticket, finds that version 1 has lost its name: no ticket
//
// Another program's changes are seen by a look-up, in the file's change time and links.
type Table struct {
	Some   atomic.Bool  // a look-up has opened a file
	limit  int          // of each shard
	Bytes  atomic.Int64 // about the memory of the files; only to be read
	shards [16]fileShard
}

type fileShard struct {
	mu      sync.Mutex
	changes uint64
	open    map[store.Sum]*File
}

// NoTicket is none: nothing is kept by it.
const NoTicket uint64 = math.MaxUint64

// MostOpen is the number of files that the table has at most.
const MostOpen = 4096

// NewTable returns a table of up to MostOpen files.
func NewTable() *Table {
	t := &Table{limit: MostOpen / 16}
	for i := range t.shards {
		t.shards[i].open = make(map[store.Sum]*File)
	}
	return t
}

// Limit bounds the number of files that stay open, and returns the bound. They take no more
// than a quarter of those that the process may have.
func (t *Table) Limit(n int64) int64 {
	n = min(n, MostOpen, fsys.MaxOpen()/4)
	t.limit = int(max(n/16, 1))
	return n
}

func (t *Table) shard(s store.Sum) *fileShard { return &t.shards[s[2]%16] }

// Get returns the open file, which the caller closes, or nil and a ticket for keep.
func (t *Table) Get(sum store.Sum) (*File, uint64) {
	s := t.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.open[sum]
	if f != nil {
		f.uses.Add(1) // the table's own keeps it from 0
		f.visited.Store(true)
	}
	return f, s.changes
}

// Keep puts a file in the table, unless its name has changed since the ticket.
func (t *Table) Keep(sum store.Sum, f *File, ticket uint64) {
	if gone := t.put(sum, f, ticket); gone != nil {
		gone.Close()
	}
}

// put returns the file that makes room. Second chance: the first of a random order that was
// not used since the last time.
func (t *Table) put(sum store.Sum, f *File, ticket uint64) (gone *File) {
	s := t.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != ticket || s.open[sum] != nil {
		return nil
	}
	if len(s.open) >= t.limit {
		var leaves store.Sum
		for other, o := range s.open {
			if leaves, gone = other, o; !o.visited.Swap(false) {
				break
			}
		}
		t.remove(s, leaves, gone)
	}
	f.uses.Add(1)
	f.kept.Store(true)
	s.open[sum] = f
	t.Bytes.Add(f.memory())
	return gone
}

// remove takes a file out of the table. s.mu is held.
func (t *Table) remove(s *fileShard, sum store.Sum, f *File) {
	f.kept.Store(false)
	delete(s.open, sum)
	t.Bytes.Add(-f.memory())
}

// Drop is called behind each change of a key's file, and returns a ticket.
func (t *Table) Drop(sum store.Sum) uint64 {
	s := t.shard(sum)
	s.mu.Lock()
	f := s.open[sum]
	if f != nil {
		t.remove(s, sum, f)
	}
	s.changes++
	ticket := s.changes
	s.mu.Unlock()
	if f != nil {
		f.Close()
	}
	return ticket
}

// FirstTicket is a ticket for a file that was opened while there was none. It counts only if
// the file has its name still, after this call.
func (t *Table) FirstTicket(sum store.Sum) uint64 {
	t.Some.Store(true)
	s := t.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// Has reports whether the table has a file.
func (t *Table) Has(sum store.Sum) bool {
	s := t.shard(sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[sum] != nil
}

// Close drops all files.
func (t *Table) Close() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		var all []*File
		for sum, f := range s.open {
			t.remove(s, sum, f)
			all = append(all, f)
		}
		s.changes++
		s.mu.Unlock()
		for _, f := range all {
			f.Close()
		}
	}
}

// Kept reports whether a table has the file.
func (f *File) Kept() bool { return f.kept.Load() }

// section reads a part of a body that needs no check. It goes out by sendfile where the
// connection knows InFile.
type section struct {
	*io.SectionReader
	file *File
	from int64
}

// NewSection returns n bytes of a body from off on, which is f's.
func NewSection(body io.ReaderAt, f *File, off, n int64) io.Reader {
	return section{io.NewSectionReader(body, off, n), f, off}
}

// InFile returns the open file, and where in it the next byte is.
func (s section) InFile() (*os.File, int64) {
	at, _ := s.Seek(0, io.SeekCurrent) // a SectionReader knows
	return s.file.InFile(s.from + at)
}
