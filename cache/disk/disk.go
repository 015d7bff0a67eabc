package disk

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// Store is the disk tier: one file for each stored response, found by its key's
// digest. The file system is the index; what is in memory beside it serves
// eviction only. See docs/decisions/0003.
type Store struct {
	Dir         string
	limit       int64       // bytes
	MaxFiles    int64       // files that the index may have
	unclean     bool        // an earlier edge ended without a close
	toldUnclean atomic.Bool // about that
	Sys         fsys.Calls
	lock        *os.File
	Notify      func(op string, err error) // told of trouble, which is a miss for everybody else
	Index       *sieve.Set
	checks      checks
	Breaker     breaker
	quarantine  quarantine
	watermark   watermark
	serial      atomic.Uint64
	closed      atomic.Bool
	lookups     atomic.Int64
	fronts      sync.Pool // *[frontSize]byte
	chunkBufs   sync.Pool // *[chunkSize]byte

	reserved atomic.Int64 // bytes promised to writers, not yet in index
	writers  atomic.Int64 // that were promised some
	promised atomic.Int64 // bytes ever
	measured atomic.Pointer[growthLimit]

	// keyLocks order what changes a key's file: commit, freshen, remove, evict. They
	// are the locks that I/O is done under. A look-up takes none, but for a file that
	// the scan has not come to yet.
	keyLocks [256]sync.Mutex

	corrupt   atomic.Int64 // files that failed a check
	evictions atomic.Int64
	scanned   atomic.Int64 // directories whose files are in index
	scrubbed  atomic.Int64 // files
}

const (
	diskFormat = 3
	readOnly   = os.O_RDONLY
	// reserveStep is how much a writer of unknown size reserves at a time.
	reserveStep = 1 << 20
)

func (d *Store) Path(s store.Sum) string {
	name := hex.EncodeToString(s[:])
	return filepath.Join(d.Dir, "objects", name[:2], name[2:])
}

func (d *Store) KeyLock(s store.Sum) *sync.Mutex { return &d.keyLocks[s[1]] }

// failed records that writing failed, and tells of it once for each pause.
func (d *Store) failed(op string, err error) {
	if pause := d.Breaker.trip(time.Now()); pause > 0 {
		d.Notify(op, fmt.Errorf("nothing is written to disk for %v: %w", pause, err))
	}
}

// Get opens what is stored, its bytes checked.
func (d *Store) Get(k store.Key) *store.Entry {
	sum := k.Sum()
	return d.Checked(sum, d.Find(k, sum))
}

// Find opens what is stored. Its head is checked, its bytes may not have been.
func (d *Store) Find(k store.Key, sum store.Sum) *Entry {
	f, h, info, err := d.openHeadOrSetAside(sum, readOnly)
	if err != nil {
		return nil
	}
	if h.Meta.Site != k.Site || h.Meta.Key != k.ID {
		d.SetAside(sum, info) // swapped with another one
		f.Close()
		return nil
	}
	d.lookups.Add(1)
	s := &Entry{raw: d.Sys.At(f, record.BodyOffset(h.SlotLog)), Info: info, Changed: fsys.ChangeTime(info)}
	s.Entry = store.Entry{Meta: h.Meta, Body: s}
	known := false
	if s.verified, known = d.Index.Hit(sum, visitsOf(k), s.Changed); !known {
		d.discover(sum, visitsOf(k))
	}
	if !s.verified && h.End() > h.SumsAt() {
		s.chunks = &chunks{disk: d, sum: sum, head: h, info: info, body: s.raw, size: s.Size()}
	}
	return s
}

// discover records a file that a look-up opened before the scan has come to it,
// unless there is none any more.
func (d *Store) discover(sum store.Sum, visits uint8) {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	f, err := d.Sys.Open(d.Path(sum), readOnly)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := d.Sys.Stat(f); err == nil {
		d.Index.Discover(sum, onDisk(info.Size()), visits)
	}
}

// Checked is s, or nil when its bytes are not what they were. A large body's bytes
// are checked while they are read.
func (d *Store) Checked(sum store.Sum, s *Entry) *store.Entry {
	if s == nil {
		return nil
	}
	if s.verified {
		return &s.Entry
	}
	var err error
	if s.chunks != nil {
		if s.chunks.sums, err = record.ReadSums(d.Sys.At(s.raw.File, 0), &s.chunks.head); err == nil {
			return &s.Entry
		}
	} else if err = d.checks.verify(checked{sum, s.Changed}, s.raw, s.Meta); err == nil {
		d.Index.Vouch(sum, s.Changed)
		s.verified = true
		return &s.Entry
	}
	d.failedCheck(sum, s.Info, err)
	s.Release()
	return nil
}

// failedCheck deals with a file whose check ended with that error.
func (d *Store) failedCheck(sum store.Sum, file fs.FileInfo, err error) {
	if record.IsDamage(err) {
		d.SetAside(sum, file)
	} else {
		d.Notify("read", err)
	}
}

// front opens a file and reads its head. Whatever goes wrong is told of, and a
// damaged file condemned; a missing one is fs.ErrNotExist.
func (d *Store) openHeadOrSetAside(sum store.Sum, flag int) (*os.File, record.Head, fs.FileInfo, error) {
	f, h, info, err := d.openHead(sum, flag)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
	case record.IsDamage(err):
		d.SetAside(sum, nil)
	default:
		d.Notify("read", err)
	}
	return f, h, info, err
}

// openHead opens a file and reads its head.
func (d *Store) openHead(sum store.Sum, flag int) (*os.File, record.Head, fs.FileInfo, error) {
	f, err := d.Sys.Open(d.Path(sum), flag)
	if err != nil {
		return nil, record.Head{}, nil, err
	}
	info, err := d.Sys.Stat(f)
	if err != nil {
		f.Close()
		return nil, record.Head{}, nil, err
	}
	front := d.fronts.Get().(*[record.FrontSize]byte)
	h, err := record.ReadHead(d.Sys.At(f, 0), info.Size(), front[:])
	d.fronts.Put(front)
	if err != nil {
		f.Close()
		return nil, record.Head{}, info, err
	}
	return f, h, info, nil
}

// SetAside puts a file aside that failed a check, or any whose head cannot be read.
// A look-up that finds damage holds no turn, so that the file may be another one
// by now; the one that is meant is open.
func (d *Store) SetAside(sum store.Sum, file fs.FileInfo) {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	f, _, info, err := d.openHead(sum, readOnly)
	if err == nil {
		f.Close()
	}
	if err == nil && !os.SameFile(info, file) || err != nil && !record.IsDamage(err) {
		return
	}
	size := onDisk(info.Size())
	d.Index.Discover(sum, size, sieve.FileVisits) // else it would stay among the unseen
	d.corrupt.Add(1)
	path := d.Path(sum)
	if err == nil {
		err = record.ErrDamaged // its body
	}
	d.Notify("check", fmt.Errorf("%w: %s", err, path))
	if err := d.quarantine.add(path, hex.EncodeToString(sum[:]), size); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.failed("remove", err)
		return // it still takes its room
	}
	d.Index.Remove(sum)
}

// Remove removes the response with that ID.
func (d *Store) Remove(k store.Key, id uint64) {
	sum := k.Sum()
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	f, h, info, err := d.openHead(sum, readOnly)
	if err != nil {
		return
	}
	f.Close()
	if h.Meta.ID != id || h.Meta.Site != k.Site || h.Meta.Key != k.ID {
		return
	}
	d.Index.Discover(sum, onDisk(info.Size()), visitsOf(k))
	if err := d.Sys.Remove(d.Path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.failed("remove", err)
		return // it still takes its room
	}
	d.Index.Remove(sum)
}

// rateLimited tells of the same sort of trouble once in a second: a disk that fails
// fails for every request.
func rateLimited(notify func(string, error)) func(string, error) {
	var mu sync.Mutex
	last := make(map[string]time.Time) // by op, of which there are few
	return func(op string, err error) {
		now := time.Now()
		mu.Lock()
		told, ok := last[op]
		quiet := ok && now.Sub(told) < time.Second
		if !quiet {
			last[op] = now
		}
		mu.Unlock()
		if !quiet {
			notify(op, err)
		}
	}
}

// Has asks the file system, which decides what is stored: the index may not know
// of a file yet. What cannot be told is a yes.
func (d *Store) Has(sum store.Sum) bool {
	f, err := d.Sys.Open(d.Path(sum), readOnly)
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// StillStored says that a file that was opened is the one that is stored.
func (d *Store) StillStored(sum store.Sum, file fs.FileInfo) bool {
	f, err := d.Sys.Open(d.Path(sum), readOnly)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := d.Sys.Stat(f)
	return err == nil && os.SameFile(info, file)
}

// visitsOf is the visits that a hit leaves a response with.
func visitsOf(k store.Key) uint8 {
	if k.Metadata {
		return sieve.MetadataVisits
	}
	return sieve.FileVisits
}

// Unclean says that the disk tier has what an edge left that was not closed: it was
// killed, or lost its power. After that, files may be back that had been evicted,
// whose removal was never made durable. So whoever left out a purge because nothing
// was held has to make up for it, and has all the time until Close: the next cache
// is told again unless this one is asked.
func (d *Store) Unclean() bool {
	d.toldUnclean.Store(true)
	return d.unclean
}
