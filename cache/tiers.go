package cache

// tiers is the memory tier in front of the disk tier. The disk decides what is
// stored; memory only ever holds copies of it.
type tiers struct {
	memory *memory
	disk   *disk
}

func (t *tiers) Get(k Key) *Stored {
	sum := k.sum()
	s, ticket := t.memory.get(k, sum)
	if s != nil {
		t.disk.index.touch(sum) // else what memory answers would look unused on disk
		return s
	}
	if s = t.disk.Get(k); s == nil || !t.memory.takes(s.Meta) {
		return s
	}
	defer s.Release()
	data := make([]byte, s.Size())
	if _, err := s.Body.ReadAt(data, 0); err != nil || !intact(s.Meta, data) { // checked again: it will be served from memory for long
		t.disk.spoiled(k, s.ID)
		return nil
	}
	return t.memory.promote(ticket, k, s.Meta, data)
}

func (t *tiers) Create(k Key, draft *Meta, size int64) (Writer, error) {
	w, err := t.disk.Create(k, draft, size)
	if err != nil {
		return nil, err
	}
	return &tieredWriter{Writer: w, key: k, memory: t.memory}, nil
}

func (t *tiers) Freshen(k Key, old uint64, m *Meta) error {
	if err := t.disk.Freshen(k, old, m); err != nil {
		t.memory.forget(k.sum())
		return err
	}
	if t.memory.Freshen(k, old, m) != nil {
		t.memory.forget(k.sum()) // also refuses a copy of the old Meta on its way here
	}
	return nil
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
	if w.memory.takes(m) {
		data = make([]byte, m.Size())
		if _, err := w.ReadAt(data, 0); err != nil {
			data = nil
		}
	}
	if err := w.Writer.Commit(m); err != nil {
		return err
	}
	if data == nil {
		w.memory.forget(w.key.sum())
		return nil
	}
	w.memory.put(w.key, m, data)
	return nil
}
