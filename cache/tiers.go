package cache

import (
	"errors"
	"sync/atomic"
	"time"

	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// tiers is the memory tier in front of the disk tier. The disk decides what is
// stored, and memory holds copies of it. While nothing can be written to disk,
// small responses are kept in memory alone; when one leaves it, what the disk
// had before is back, no fresher than it was. Those that are asked for after the
// pause are written then.
type tiers struct {
	memory *memory
	disk   *disk

	background func(work func()) bool // false when there is none any more
	saving     atomic.Bool
}

func (t *tiers) Get(k store.Key) *store.Entry {
	sum := k.Sum()
	r, ticket := t.memory.get(k, sum)
	if r != nil {
		t.disk.index.Touch(sum, &r.visit) // else what memory answers would look unused on disk
		if r.sole {
			t.saveSoon(r)
		}
		return &r.Entry
	}
	s := t.disk.open(k, sum)
	if s == nil || !t.memory.takes(s.Meta) {
		return t.disk.sound(sum, s)
	}
	size := s.Size()
	if !t.memory.afloat.Take(size) {
		return t.disk.sound(sum, s)
	}
	defer t.memory.afloat.Release(size)
	defer s.Release()
	data := room(size)
	if n, err := s.Body.ReadAt(data, 0); n < len(data) {
		t.disk.notify("read", err)
		return nil
	}
	if !store.Intact(s.Meta, data) { // vouched for or not: it will be served from memory for long
		t.disk.spoiled(sum, s.info)
		return nil
	}
	t.disk.index.Vouch(sum, s.changed)
	t.memory.moves(sum)
	defer t.memory.moved(sum)
	if !t.disk.hasStill(sum, s.info) { // gone meanwhile, and perhaps nobody was told of a change, see Holds
		return &newResident(k, sum, s.Meta, data, false).Entry
	}
	return t.memory.promote(ticket, k, s.Meta, data)
}

// saveSoon has a response written to disk that was kept in memory alone while
// that could not be written to. One at a time is enough: the rest is written at
// its next hit.
func (t *tiers) saveSoon(r *resident) {
	if t.disk.breaker.open(time.Now()) || !t.saving.CompareAndSwap(false, true) {
		return
	}
	begun := t.background(func() {
		defer t.saving.Store(false)
		t.save(r)
	})
	if !begun {
		t.saving.Store(false)
	}
}

func (t *tiers) save(r *resident) {
	t.memory.moves(r.sum)
	defer t.memory.moved(r.sum)
	if !t.memory.current(r.sum, r.ID) { // it left memory meanwhile, see Holds
		return
	}
	w, err := t.disk.Create(r.key, r.Meta, r.Size())
	if err != nil {
		return
	}
	defer w.Abort()
	if _, err := w.Write(r.data); err != nil {
		return
	}
	switch err := w.Commit(r.Meta); {
	case err == nil:
		t.memory.shared(r)
	case errors.Is(err, store.ErrGone): // the disk has a newer one
		t.memory.Remove(r.key, r.ID)
	}
}

func (t *tiers) Create(k store.Key, draft *store.Meta, size int64) (store.Writer, error) {
	w, err := t.disk.Create(k, draft, size)
	if errors.Is(err, record.ErrTooLarge) {
		return nil, err
	}
	if err == nil {
		return &tieredWriter{Writer: w, key: k, memory: t.memory}, nil
	}
	if w, err = t.memory.Create(k, draft, size); err != nil {
		return nil, err
	}
	return &soleWriter{Writer: w, key: k, disk: t.disk}, nil
}

func (t *tiers) Freshen(k store.Key, old uint64, m *store.Meta) error {
	err := t.disk.Freshen(k, old, m)
	replaced := errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrAbsent)
	if errors.Is(err, record.ErrTooLarge) || replaced && !t.memory.sole(k.Sum(), old) {
		t.memory.forget(k.Sum())
		return err
	}
	// Memory can do better than a disk that cannot be written to, or has evicted
	// what memory has a copy of.
	if t.memory.freshen(k, old, m, err != nil) == nil {
		return nil
	}
	t.memory.forget(k.Sum()) // also refuses a copy of the old Meta on its way here
	return err
}

func (t *tiers) Remove(k store.Key, id uint64) {
	t.disk.Remove(k, id)
	t.memory.forget(k.Sum())
}

type tieredWriter struct {
	store.Writer
	key    store.Key
	memory *memory
}

func (w *tieredWriter) Commit(m *store.Meta) error {
	// The small ones are copied before the rename: afterwards the file belongs
	// to the disk tier, which may evict it.
	var data []byte
	size := m.Size()
	if w.memory.takes(m) && w.memory.afloat.Take(size) {
		data = room(size)
		if _, err := w.ReadAt(data, 0); err != nil {
			data = nil
		}
		defer w.memory.afloat.Release(size)
	}
	if err := w.Writer.Commit(m); err != nil {
		return err
	}
	if data == nil {
		w.memory.forget(w.key.Sum())
		return nil
	}
	w.memory.put(w.key, m, data, false)
	return nil
}

// soleWriter writes to memory alone. The disk could be written to again meanwhile,
// and have a newer response by the end.
type soleWriter struct {
	store.Writer
	key  store.Key
	disk *disk
}

func (w *soleWriter) Commit(m *store.Meta) error {
	sum := w.key.Sum()
	turn := w.disk.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	if w.disk.newer(sum, m) {
		return store.ErrGone
	}
	return w.Writer.Commit(m)
}
