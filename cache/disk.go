package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// disk is the disk tier: one file for each stored response, found by its key's
// digest. The file system is the index; what is in memory beside it serves
// eviction only. See docs/decisions/0003.
type disk struct {
	dir        string
	limit      int64 // bytes
	sys        system
	lock       *os.File
	notify     func(op string, err error) // told of trouble, which is a miss for everybody else
	index      *index
	checks     checks
	breaker    breaker
	quarantine quarantine
	serial     atomic.Uint64
	fronts     sync.Pool // *[frontSize]byte

	reserved atomic.Int64 // bytes promised to writers, not yet in index
	writers  atomic.Int64 // that were promised some
	promised atomic.Int64 // bytes ever
	measured atomic.Pointer[levels]

	// turns order what changes a key's file: commit, freshen, remove, evict. They
	// are the locks that I/O is done under. A look-up takes none.
	turns [256]sync.Mutex

	spoils    atomic.Int64 // files that failed a check
	evictions atomic.Int64
	scanned   atomic.Int64 // directories whose files are in index
	scrubbed  atomic.Int64 // files
}

const (
	diskFormat = 2
	readOnly   = os.O_RDONLY
	// reserveStep is how much a writer of unknown size reserves at a time.
	reserveStep = 1 << 20
)

// openDisk takes possession of dir, which must be writable and not in use.
func openDisk(sys system, dir string, limit int64, notify func(string, error)) (*disk, error) {
	d := &disk{
		dir: dir, limit: limit, sys: sys, notify: seldom(notify), index: newIndex(),
		checks:     checks{running: make(map[checked]*check)},
		quarantine: quarantine{dir: filepath.Join(dir, "quarantine"), limit: limit / 64, sys: sys},
		fronts:     sync.Pool{New: func() any { return new([frontSize]byte) }},
	}
	for _, sub := range []string{"", "objects", "tmp", "quarantine"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the cache directory: %w", err)
		}
	}
	var err error
	if d.lock, err = sys.open(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR); err != nil {
		return nil, fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	if err := d.prepare(); err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

// prepare makes a directory ready that may be an earlier edge's.
func (d *disk) prepare() error {
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("the cache directory %q is in use by another edge: give each its own cache.dir", d.dir)
	}
	if err := d.checkFormat(); err != nil {
		return err
	}
	// What a stopped edge was writing was never committed.
	leftovers, _ := d.sys.list(filepath.Join(d.dir, "tmp"))
	for _, e := range leftovers {
		d.sys.remove(filepath.Join(d.dir, "tmp", e.Name()))
	}
	d.quarantine.find()
	return d.try()
}

// try finds out whether files can be made. A full disk is trouble that passes.
func (d *disk) try() error {
	path := filepath.Join(d.dir, "tmp", "try")
	f, err := d.sys.open(path, os.O_CREATE|os.O_RDWR)
	if err == nil {
		err = errors.Join(f.Close(), d.sys.remove(path))
	}
	if isFull(err) {
		d.failed("start", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	return nil
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func (d *disk) checkFormat() error {
	path := filepath.Join(d.dir, "format")
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the cache directory: %w", err)
	}
	// A power cut may have left anything here. Every cache file says its format
	// too, so only a number that is not ours counts.
	switch n, err := strconv.Atoi(strings.TrimSpace(string(have))); {
	case err == nil && n > diskFormat:
		return fmt.Errorf("the cache directory %q has format %d and this edge writes %d: use a newer edge, or another cache.dir",
			d.dir, n, diskFormat)
	case err == nil && n == diskFormat:
		return nil
	}
	// An older edge reads none of what this one writes, and is refused from now on.
	if err := os.WriteFile(path, []byte(strconv.Itoa(diskFormat)+"\n"), 0o600); err != nil && !isFull(err) {
		return fmt.Errorf("cannot write to the cache directory: %w", err)
	}
	return nil
}

func (d *disk) path(s Sum) string {
	name := hex.EncodeToString(s[:])
	return filepath.Join(d.dir, "objects", name[:2], name[2:])
}

func (d *disk) turn(s Sum) *sync.Mutex { return &d.turns[s[1]] }

// failed records that writing failed, and tells of it once for each pause.
func (d *disk) failed(op string, err error) {
	if pause := d.breaker.trip(time.Now()); pause > 0 {
		d.notify(op, fmt.Errorf("nothing is written to disk for %v: %w", pause, err))
	}
}

// Get opens what is stored, its bytes checked.
func (d *disk) Get(k Key) *Stored {
	sum := k.sum()
	return d.sound(sum, d.open(k, sum))
}

// open opens what is stored. Its head is checked, its bytes may not have been.
func (d *disk) open(k Key, sum Sum) *Stored {
	f, h, info, err := d.front(sum, readOnly)
	if err != nil {
		return nil
	}
	if h.meta.Site != k.Site || h.meta.Key != k.ID {
		f.Close() // another key with this sum, or two files swapped by hand
		return nil
	}
	s := &Stored{Meta: h.meta, file: f, base: bodyOffset(h.slotLog), changed: changed(info)}
	s.Body = &fileBody{d.sys.read, f, s.base}
	s.vouched = d.index.seen(sum, onDisk(info.Size()), k.worth(), s.changed)
	return s
}

// sound is s, or nil when its bytes are not what they were.
func (d *disk) sound(sum Sum, s *Stored) *Stored {
	if s == nil || s.vouched {
		return s
	}
	err := d.checks.verify(checked{sum, s.changed}, s.Body, s.Meta)
	if err == nil {
		d.index.vouch(sum, s.changed)
		return s
	}
	s.Release()
	if isDamage(err) {
		d.spoiled(sum, s.ID)
	} else {
		d.notify("read", err)
	}
	return nil
}

// front opens a file and reads its head. Whatever goes wrong is told of, and a
// damaged file condemned; a missing one is fs.ErrNotExist.
func (d *disk) front(sum Sum, flag int) (*os.File, head, fs.FileInfo, error) {
	f, h, info, err := d.peek(sum, flag)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
	case isDamage(err):
		d.spoiled(sum, 0)
	default:
		d.notify("read", err)
	}
	return f, h, info, err
}

// peek opens a file and reads its head.
func (d *disk) peek(sum Sum, flag int) (*os.File, head, fs.FileInfo, error) {
	f, err := d.sys.open(d.path(sum), flag)
	if err != nil {
		return nil, head{}, nil, err
	}
	info, err := d.sys.stat(f)
	if err != nil {
		f.Close()
		return nil, head{}, nil, err
	}
	front := d.fronts.Get().(*[frontSize]byte)
	h, err := readHead(&fileBody{d.sys.read, f, 0}, info.Size(), front[:])
	d.fronts.Put(front)
	if err != nil {
		f.Close()
		return nil, head{}, info, err
	}
	return f, h, info, nil
}

// spoiled puts a file aside that failed a check: the one with that ID, or one
// whose head cannot be read, where id is 0. A look-up that finds damage holds no
// turn, so that the file may be another one by now.
func (d *disk) spoiled(sum Sum, id uint64) {
	turn := d.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	f, h, info, err := d.peek(sum, readOnly)
	if err == nil {
		f.Close()
	}
	if err == nil && h.meta.ID != id || err != nil && !isDamage(err) {
		return
	}
	size := onDisk(info.Size())
	d.index.remove(sum)
	d.spoils.Add(1)
	path := d.path(sum)
	if err == nil {
		err = errDamaged // its body
	}
	d.notify("check", fmt.Errorf("%w: %s", err, path))
	if err := d.quarantine.take(path, hex.EncodeToString(sum[:]), size); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.index.add(sum, size) // it still takes its room
		d.failed("remove", err)
	}
}

// Remove removes the response with that ID.
func (d *disk) Remove(k Key, id uint64) {
	sum := k.sum()
	turn := d.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	f, h, _, err := d.peek(sum, readOnly)
	if err != nil {
		return
	}
	f.Close()
	if h.meta.ID == id && h.meta.Site == k.Site && h.meta.Key == k.ID {
		d.discard(sum)
	}
}

// discard removes a file. Its turn is held.
func (d *disk) discard(sum Sum) {
	size := d.index.remove(sum)
	if err := d.sys.remove(d.path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.index.add(sum, size) // it still takes its room
		d.failed("remove", err)
	}
}

// Freshen writes a new Meta into the slot that does not hold the present one.
func (d *disk) Freshen(k Key, old uint64, m *Meta) error {
	sum := k.sum()
	turn := d.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	f, h, info, err := d.peek(sum, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return fmt.Errorf("cannot freshen: %w", err)
	}
	defer f.Close()
	if h.meta.ID != old || h.meta.Site != k.Site || h.meta.Key != k.ID || !sameBytes(h.meta, m) {
		return errGone
	}
	raw := encodeMeta(m)
	if slotHead+len(raw) > 1<<h.slotLog {
		d.discard(sum)
		return errTooLarge
	}
	other := 1 - h.slot
	vouched := d.index.vouched(sum, changed(info))
	if _, err := d.sys.write(f, encodeSlot(h.seq+1, raw), preambleSize+int64(other)<<h.slotLog); err != nil {
		d.failed("freshen", err)
		return fmt.Errorf("cannot freshen: %w", err)
	}
	if vouched { // the change was ours, and left the body
		d.index.vouch(sum, d.changeTime(f))
	}
	return nil
}

func (d *disk) close() error { return d.lock.Close() }

// seldom tells of the same sort of trouble once in a second: a disk that fails
// fails for every request.
func seldom(notify func(string, error)) func(string, error) {
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
