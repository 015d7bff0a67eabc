package cache

import (
	"errors"
	"sync/atomic"
	"time"
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

func (t *tiers) Get(k Key) *Stored {
	sum := k.sum()
	s, ticket := t.memory.get(k, sum)
	if s != nil {
		t.disk.index.Touch(sum) // else what memory answers would look unused on disk
		if s.sole {
			t.saveSoon(k, s)
		}
		return s
	}
	if s = t.disk.open(k, sum); s == nil || !t.memory.takes(s.Meta) {
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
	if !intact(s.Meta, data) { // vouched for or not: it will be served from memory for long
		t.disk.spoiled(sum, s.info)
		return nil
	}
	t.disk.index.Vouch(sum, s.changed)
	t.memory.moves(sum)
	defer t.memory.moved(sum)
	if !t.disk.hasStill(sum, s.info) { // gone meanwhile, and perhaps nobody was told of a change, see Holds
		return (&resident{k, sum, s.Meta, data, false}).stored()
	}
	return t.memory.promote(ticket, k, s.Meta, data)
}

// saveSoon has a response written to disk that was kept in memory alone while
// that could not be written to. One at a time is enough: the rest is written at
// its next hit.
func (t *tiers) saveSoon(k Key, s *Stored) {
	if t.disk.breaker.open(time.Now()) || !t.saving.CompareAndSwap(false, true) {
		return
	}
	begun := t.background(func() {
		defer t.saving.Store(false)
		t.save(k, s)
	})
	if !begun {
		t.saving.Store(false)
	}
}

func (t *tiers) save(k Key, s *Stored) {
	sum := k.sum()
	t.memory.moves(sum)
	defer t.memory.moved(sum)
	if !t.memory.current(sum, s.ID) { // it left memory meanwhile, see Holds
		return
	}
	w, err := t.disk.Create(k, s.Meta, s.Size())
	if err != nil {
		return
	}
	defer w.Abort()
	if _, err := w.Write(s.data); err != nil {
		return
	}
	switch err := w.Commit(s.Meta); {
	case err == nil:
		t.memory.shared(k, s)
	case errors.Is(err, errGone): // the disk has a newer one
		t.memory.Remove(k, s.ID)
	}
}

func (t *tiers) Create(k Key, draft *Meta, size int64) (Writer, error) {
	w, err := t.disk.Create(k, draft, size)
	if errors.Is(err, errTooLarge) {
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

func (t *tiers) Freshen(k Key, old uint64, m *Meta) error {
	err := t.disk.Freshen(k, old, m)
	replaced := errors.Is(err, errGone) && !errors.Is(err, errNoFile)
	if errors.Is(err, errTooLarge) || replaced && !t.memory.sole(k.sum(), old) {
		t.memory.forget(k.sum())
		return err
	}
	// Memory can do better than a disk that cannot be written to, or has evicted
	// what memory has a copy of.
	if t.memory.freshen(k, old, m, err != nil) == nil {
		return nil
	}
	t.memory.forget(k.sum()) // also refuses a copy of the old Meta on its way here
	return err
}

func (t *tiers) Remove(k Key, id uint64) {
	t.disk.Remove(k, id)
	t.memory.forget(k.sum())
}

type tieredWriter struct {
	Writer
	key    Key
	memory *memory
}

func (w *tieredWriter) Commit(m *Meta) error {
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
		w.memory.forget(w.key.sum())
		return nil
	}
	w.memory.put(w.key, m, data, false)
	return nil
}

// soleWriter writes to memory alone. The disk could be written to again meanwhile,
// and have a newer response by the end.
type soleWriter struct {
	Writer
	key  Key
	disk *disk
}

func (w *soleWriter) Commit(m *Meta) error {
	sum := w.key.sum()
	turn := w.disk.turn(sum)
	turn.Lock()
	defer turn.Unlock()
	if w.disk.newer(sum, m) {
		return errGone
	}
	return w.Writer.Commit(m)
}
