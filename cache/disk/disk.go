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
	"pkgedge/cache/openfile"
	"pkgedge/cache/quarantine"
	"pkgedge/cache/record"
	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// Store is the disk tier: one file for each stored response, named by its key's digest.
// The file system is the index of responses. Index, in memory, serves eviction only. See
// docs/decisions/0003.
type Store struct {
	sys      fsys.Calls
	dir      string
	limit    int64 // bytes
	maxFiles int64 // that Index may have
	remade   func() error
	notify   func(op string, err error)
	buffers  Buffers

	Index *sieve.Set // the memory tier's hits touch it, and cost no more than that

	crashed   bool        // the previous process did not close the tier
	toldCrash atomic.Bool // Crashed was called

	remaking   sync.Mutex // held over the I/O of remake, which is rare
	lock       *os.File   // under remaking, once the tier is open
	checks     checks
	files      *openfile.Table
	breaker    breaker
	quarantine quarantine.Quarantine
	watermark  watermark
	serial     atomic.Uint64
	closed     atomic.Bool
	lookups    atomic.Int64
	fronts     sync.Pool // *[frontSize]byte
	chunkBufs  sync.Pool // *[chunkSize]byte

	reserved atomic.Int64 // bytes reserved by writers, not yet in Index
	writers  atomic.Int64 // with a reservation
	promised atomic.Int64 // bytes reserved since the start
	measured atomic.Pointer[growthLimit]

	// keyLocks order the changes of a key's file: commit, freshen, remove, evict. I/O
	// happens under these locks. A look-up takes one only for a file that the scan has
	// not reached yet.
	keyLocks [256]sync.Mutex

	corrupt   atomic.Int64 // files that failed a check
	evictions atomic.Int64
	scanned   atomic.Int64 // directories whose files are in Index
	scrubbed  atomic.Int64 // files
}

const (
	diskFormat = 3
	readOnly   = os.O_RDONLY
	// reserveStep is the number of bytes that a writer of unknown size reserves at a time.
	reserveStep = 1 << 20
)

func (d *Store) Path(s store.Sum) string {
	name := hex.EncodeToString(s[:])
	return filepath.Join(d.dir, "objects", name[:2], name[2:])
}

// KeepOpen bounds the number of files that stay open, and returns the bound.
func (d *Store) KeepOpen(n int64) int64 { return d.files.Limit(n) }

// OpenBytes is about the memory of the files that stay open.
func (d *Store) OpenBytes() int64 { return d.files.Bytes.Load() }

func (d *Store) KeyLock(s store.Sum) *sync.Mutex { return &d.keyLocks[s[1]] }

// failed records that writing failed, and notifies once for each pause.
func (d *Store) failed(op string, err error) {
	if pause := d.breaker.trip(time.Now()); pause > 0 {
		d.notify(op, fmt.Errorf("nothing is written to disk for %v: %w", pause, err))
	}
}

// Get opens the stored response. Its bytes are verified.
func (d *Store) Get(k store.Key) *store.Entry {
	sum := k.Sum()
	return d.Checked(sum, d.Find(k, sum))
}

// Find returns the stored response, in a file that is open already or that it opens. Its
// bytes may be unverified.
func (d *Store) Find(k store.Key, sum store.Sum) *Entry {
	f, ticket := (*File)(nil), openfile.NoTicket
	if d.files.Some.Load() {
		if f, ticket = d.files.Get(sum); f != nil && !d.unchanged(f) {
			f.Close()
			f, ticket = nil, d.files.Drop(sum)
		}
	}
	if f == nil {
		if d.absent(sum) {
			return nil
		}
		opened, h, info, err := d.openHeadOrSetAside(sum, readOnly)
		if err != nil {
			return nil
		}
		f = openfile.New(h, info, d.sys.At(opened, record.BodyOffset(h.SlotLog)))
		if !d.files.Some.Load() {
			ticket = d.firstTicket(sum, f)
		}
	}
	if f.Stored().Site != k.Site || f.Stored().Key != k.ID {
		d.setAside(sum, f.Info) // the file was swapped with another
		f.Close()
		return nil
	}
	d.lookups.Add(1)
	s := &Entry{File: f, ticket: ticket}
	s.Entry = store.Entry{Meta: f.Stored(), Body: s}
	known := false
	if s.verified, known = d.Index.Hit(sum, visitsOf(k), f.Changed); !known {
		d.discover(sum, visitsOf(k))
	}
	return s
}

// unchanged reports whether an open file has still its name and its bytes, as far as other
// programs are concerned.
func (d *Store) unchanged(f *File) bool {
	info, err := d.sys.Stat(f.Raw.File)
	return err == nil && fsys.ChangeTime(info) == f.Changed && fsys.Linked(info)
}

// firstTicket is a ticket for a file that was opened while there was none.
func (d *Store) firstTicket(sum store.Sum, f *File) uint64 {
	ticket := d.files.FirstTicket(sum)
	if !d.unchanged(f) {
		return openfile.NoTicket
	}
	return ticket
}

// absent reports that no file is stored, without a system call: once the scan has ended, Index
// has every file. A commit records its file after the rename, so in between the file is a miss.
func (d *Store) absent(sum store.Sum) bool {
	return d.scanned.Load() == directories && !d.Index.Has(sum)
}

// discover records a file that a look-up opened before the scan reached it, unless the
// file is gone.
func (d *Store) discover(sum store.Sum, visits uint8) {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	f, err := d.sys.Open(d.Path(sum), readOnly)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := d.sys.Stat(f); err == nil {
		d.Index.Discover(sum, onDisk(info.Size()), visits)
	}
}

// Checked returns s, or nil when its bytes are corrupt. The bytes of a large body are
// checked while they are read. The file stays open for the next look-ups.
func (d *Store) Checked(sum store.Sum, s *Entry) *store.Entry {
	if s == nil {
		return nil
	}
	if !s.Kept() {
		d.files.Keep(sum, s.File, s.ticket)
	}
	if s.verified {
		return &s.Entry
	}
	var err error
	if s.Head.End() > s.Head.SumsAt() {
		var sums []byte
		if sums, err = record.ReadSums(d.sys.At(s.Raw.File, 0), &s.Head); err == nil {
			s.chunks = &chunks{disk: d, sum: sum, info: s.Info, body: s.Raw, size: s.Size(), sums: sums}
			return &s.Entry
		}
	} else if err = d.checks.verify(checked{sum, s.Changed}, s.Raw, s.Meta); err == nil {
		d.Index.SetVerified(sum, s.Changed)
		s.verified = true
		return &s.Entry
	}
	d.failedCheck(sum, s.Info, err)
	d.files.Drop(sum) // the next look-up begins anew
	s.Release()
	return nil
}

// ReadWhole reads a body into data, which has its size, and checks it. Corrupt bytes set the
// file aside.
func (d *Store) ReadWhole(sum store.Sum, s *Entry, data []byte) bool {
	if n, err := s.Body.ReadAt(data, 0); n < len(data) {
		d.notify("read", err)
		return false
	}
	if !store.Intact(s.Meta, data) {
		d.setAside(sum, s.Info)
		return false
	}
	d.Index.SetVerified(sum, s.Changed)
	return true
}

// failedCheck sets a corrupt file aside, and reports a check that could not read.
func (d *Store) failedCheck(sum store.Sum, file fs.FileInfo, err error) {
	if record.IsDamage(err) {
		d.setAside(sum, file)
	} else {
		d.notify("read", err)
	}
}

// openHeadOrSetAside is openHead, but reports a failure and sets a corrupt file aside. A
// missing file is fs.ErrNotExist, and is not reported.
func (d *Store) openHeadOrSetAside(sum store.Sum, flag int) (*os.File, record.Head, fs.FileInfo, error) {
	f, h, info, err := d.openHead(sum, flag)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
	case record.IsDamage(err):
		d.setAside(sum, nil)
	default:
		d.notify("read", err)
	}
	return f, h, info, err
}

// openHead opens a file and reads its head.
func (d *Store) openHead(sum store.Sum, flag int) (*os.File, record.Head, fs.FileInfo, error) {
	f, err := d.sys.Open(d.Path(sum), flag)
	if err != nil {
		return nil, record.Head{}, nil, err
	}
	info, err := d.sys.Stat(f)
	if err != nil {
		f.Close()
		return nil, record.Head{}, nil, err
	}
	front := d.fronts.Get().(*[record.FrontSize]byte)
	h, err := record.ReadHead(d.sys.At(f, 0), info.Size(), front[:])
	d.fronts.Put(front)
	if err != nil {
		f.Close()
		return nil, record.Head{}, info, err
	}
	return f, h, info, nil
}

// setAside moves a corrupt file into quarantine. A look-up that finds damage holds no key
// lock, so another file may have the name by now: file is the one that failed its check, or
// nil for any whose head is corrupt.
func (d *Store) setAside(sum store.Sum, file fs.FileInfo) {
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	if d.closed.Load() {
		return
	}
	f, _, info, err := d.openHead(sum, readOnly)
	if err == nil {
		f.Close()
	}
	if err == nil && !os.SameFile(info, file) || err != nil && !record.IsDamage(err) {
		return
	}
	size := onDisk(info.Size())
	d.Index.Discover(sum, size, sieve.FileVisits) // a file the scan has not reached counts as unseen
	d.corrupt.Add(1)
	path := d.Path(sum)
	if err == nil {
		err = record.ErrDamaged // its body
	}
	d.notify("check", fmt.Errorf("%w: %s", err, path))
	if err := d.quarantine.Add(path, hex.EncodeToString(sum[:]), size); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.failed("remove", err)
		return // the file still takes space
	}
	d.Index.Remove(sum)
	d.files.Drop(sum)
}

// Remove removes the response with that Version.
func (d *Store) Remove(k store.Key, id uint64) {
	sum := k.Sum()
	keyLock := d.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	if d.closed.Load() {
		return
	}
	f, h, info, err := d.openHead(sum, readOnly)
	if err != nil {
		return
	}
	f.Close()
	if h.Meta.Version != id || h.Meta.Site != k.Site || h.Meta.Key != k.ID {
		return
	}
	d.Index.Discover(sum, onDisk(info.Size()), visitsOf(k))
	if err := d.sys.Remove(d.Path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.failed("remove", err)
		return // the file still takes space
	}
	d.Index.Remove(sum)
	d.files.Drop(sum)
}

// rateLimited passes one notification per op and second on: a failing disk fails for every
// request.
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

// Has reports whether a file is stored. It asks the file system, because Index may not know
// the file yet. An error other than fs.ErrNotExist counts as stored, and so does a file that
// has lost its name and may still answer for a moment.
func (d *Store) Has(sum store.Sum) bool {
	if d.files.Has(sum) {
		return true
	}
	f, err := d.sys.Open(d.Path(sum), readOnly)
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// StillStored reports whether an open file is still the stored one.
func (d *Store) StillStored(sum store.Sum, file fs.FileInfo) bool {
	f, err := d.sys.Open(d.Path(sum), readOnly)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := d.sys.Stat(f)
	return err == nil && os.SameFile(info, file)
}

// visitsOf is the number of SIEVE visits that a hit leaves a response with.
func visitsOf(k store.Key) uint8 {
	if k.Metadata {
		return sieve.MetadataVisits
	}
	return sieve.FileVisits
}

// Crashed reports whether the previous process was killed or lost its power. Then evicted
// files may be back, because their removal was never made durable, and a purge that was left
// out because nothing was stored must be made up for. Unless Crashed is called before Close,
// the next process reports the same again.
func (d *Store) Crashed() bool {
	d.toldCrash.Store(true)
	return d.crashed
}
