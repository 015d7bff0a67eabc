package tier

import (
	"errors"
	"sync/atomic"

	"pkgedge/cache/disk"
	"pkgedge/cache/memory"
	"pkgedge/cache/policy"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// Store is the memory tier in front of the disk tier. The disk decides which response is
// stored, and memory has copies. While writes to disk are paused, memory alone keeps small
// responses. When one of them leaves memory, the older response on disk is back. A hit after
// the pause writes it to disk.
type Store struct {
	Memory *memory.Store
	Disk   *disk.Store

	Background func(work func()) bool // false when the cache is closed
	saving     atomic.Bool
}

// copied is the mean size, in bytes, of the parts of the largest response that memory has a
// copy of. A larger part goes out by sendfile at less cost than from memory, and the system
// has it in memory, too. docs/decisions/0030 has the figures.
const copied = 16 << 10

// copies reports whether memory has a copy of a response that is stored on disk.
func copies(m *memory.Store, meta *store.Meta) bool {
	return meta.Size() <= copied*int64(len(meta.Parts)) && m.Fits(meta)
}

func (t *Store) Get(k store.Key) *store.Entry {
	if r := t.Memory.Hit(k); r != nil {
		return t.hit(r)
	}
	sum := k.Sum()
	r, ticket := t.Memory.Lookup(k, sum)
	if r != nil {
		return t.hit(r)
	}
	s := t.Disk.Find(k, sum)
	if s == nil || !copies(t.Memory, s.Meta) {
		return t.Disk.Checked(sum, s)
	}
	size := s.Size()
	if !t.Memory.Buffers.Take(size) {
		return t.Disk.Checked(sum, s)
	}
	defer t.Memory.Buffers.Release(size)
	defer s.Release()
	data := memory.Alloc(size)
	if !t.Disk.ReadWhole(sum, s, data) { // checks a verified file too: memory will serve the bytes for long
		return nil
	}
	t.Memory.BeginCopy(sum)
	defer t.Memory.EndCopy(sum)
	if !t.Disk.StillStored(sum, s.Info) { // removed meanwhile: a change may not have been purged, see Contains
		return &memory.NewResident(k, sum, s.Meta, data, false).Entry
	}
	return t.Memory.Promote(ticket, k, s.Meta, data)
}

// hit answers from memory.
func (t *Store) hit(r *memory.Resident) *store.Entry {
	t.Disk.Index.Touch(r.Sum, &r.Visit) // else a response that memory serves would look unused on disk
	if r.OnlyHere && !policy.IsMissing(r.Status) {
		t.saveSoon(r)
	}
	return &r.Entry
}

// saveSoon writes a response to disk that memory alone kept during a pause. It writes one
// at a time, and another one at its next hit.
func (t *Store) saveSoon(r *memory.Resident) {
	if t.Disk.Paused() || !t.saving.CompareAndSwap(false, true) {
		return
	}
	begun := t.Background(func() {
		defer t.saving.Store(false)
		t.save(r)
	})
	if !begun {
		t.saving.Store(false)
	}
}

func (t *Store) save(r *memory.Resident) {
	t.Memory.BeginCopy(r.Sum)
	defer t.Memory.EndCopy(r.Sum)
	if !t.Memory.Current(r.Sum, r.Version) { // it left memory meanwhile, see Contains
		return
	}
	w, err := t.Disk.Create(r.Key, r.Meta, r.Size())
	if err != nil {
		return
	}
	defer w.Abort()
	if _, err := w.Write(r.Data); err != nil {
		return
	}
	switch err := w.Commit(r.Meta); {
	case err == nil:
		t.Memory.Saved(r)
	case errors.Is(err, store.ErrGone): // the disk has a newer one
		t.Memory.Remove(r.Key, r.Version)
	}
}

func (t *Store) Create(k store.Key, draft *store.Meta, size int64) (store.Writer, error) {
	if policy.IsMissing(draft.Status) {
		w, err := t.Memory.Create(k, draft, size)
		if err != nil {
			return nil, err
		}
		return &missingWriter{soleWriter{Writer: w, key: k, disk: t.Disk}}, nil
	}
	w, err := t.Disk.Create(k, draft, size)
	if errors.Is(err, record.ErrTooLarge) {
		return nil, err
	}
	if err == nil {
		return &tieredWriter{Writer: w, key: k, memory: t.Memory}, nil
	}
	if w, err = t.Memory.Create(k, draft, size); err != nil {
		return nil, err
	}
	return &soleWriter{Writer: w, key: k, disk: t.Disk}, nil
}

func (t *Store) Freshen(k store.Key, old uint64, m *store.Meta) error {
	err := t.Disk.Freshen(k, old, m)
	replaced := errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrAbsent)
	if errors.Is(err, record.ErrTooLarge) || replaced && !t.Memory.OnlyHere(k.Sum(), old) {
		t.Memory.Forget(k.Sum())
		return err
	}
	// Memory keeps the new Meta when the disk cannot be written to, or has evicted the
	// response.
	if t.Memory.Renew(k, old, m, err != nil) == nil {
		return nil
	}
	t.Memory.Forget(k.Sum()) // also refuses a copy of the old Meta on its way here
	return err
}

func (t *Store) Remove(k store.Key, id uint64) {
	t.Disk.Remove(k, id)
	t.Memory.Forget(k.Sum())
}

type tieredWriter struct {
	store.Writer
	key    store.Key
	memory *memory.Store
}

func (w *tieredWriter) Commit(m *store.Meta) error {
	// Small responses are copied before the rename: afterwards the disk tier may evict
	// the file.
	var data []byte
	size, small := m.Size(), false
	if copies(w.memory, m) && w.memory.Buffers.Take(size) {
		data = memory.Alloc(size)
		n, _ := w.ReadAt(data, 0)
		small = int64(n) == size
		defer w.memory.Buffers.Release(size)
	}
	if err := w.Writer.Commit(m); err != nil {
		return err
	}
	if !small {
		w.memory.Forget(w.key.Sum())
		return nil
	}
	w.memory.Put(w.key, m, data, false)
	return nil
}

// soleWriter writes to memory alone. When the pause ends meanwhile, the disk may have a
// newer response at Commit.
type soleWriter struct {
	store.Writer
	key  store.Key
	disk *disk.Store
}

func (w *soleWriter) Commit(m *store.Meta) error {
	sum := w.key.Sum()
	keyLock := w.disk.KeyLock(sum)
	keyLock.Lock()
	defer keyLock.Unlock()
	if w.disk.Newer(sum, m) {
		return store.ErrGone
	}
	return w.Writer.Commit(m)
}

// missingWriter is a soleWriter of a response that says that there is none.
type missingWriter struct{ soleWriter }

// Commit also removes the response that was there: else it would be back when this one
// leaves memory.
func (w *missingWriter) Commit(m *store.Meta) error {
	if err := w.soleWriter.Commit(m); err != nil {
		return err
	}
	if old := w.disk.Find(w.key, w.key.Sum()); old != nil {
		version := old.Version
		old.Release()
		if version < m.Version {
			w.disk.Remove(w.key, version)
		}
	}
	return nil
}
