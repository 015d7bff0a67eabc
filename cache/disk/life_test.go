package disk

import (
	"bytes"
	"slices"
	"testing"

	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// history has the operations on each key, and so the responses that may be found: after a
// failed operation, the one before or the one it was to bring.
type history struct {
	bodies map[string]map[uint64][]byte // by key and Version, committed or tried
	sure   map[string]uint64            // the Version that must be found; 0 where the response may be gone
	maybe  map[string][]uint64          // others that may be found instead
}

func newHistory() *history {
	return &history{map[string]map[uint64][]byte{}, map[string]uint64{}, map[string][]uint64{}}
}

func (h *history) tried(k store.Key, id uint64, body []byte, err error) {
	if h.bodies[k.ID] == nil {
		h.bodies[k.ID] = map[uint64][]byte{}
	}
	h.bodies[k.ID][id] = body
	if err == nil {
		h.sure[k.ID], h.maybe[k.ID] = id, nil
		return
	}
	h.maybe[k.ID] = append(h.maybe[k.ID], id)
}

// check compares a store with the history. strict says that nothing may be
// missing that was committed.
func (h *history) check(t *testing.T, s store.Store, strict bool) {
	t.Helper()
	for id, versions := range h.bodies {
		k := store.Key{Site: "s", ID: id}
		have := s.Get(k)
		if have == nil {
			if strict && h.sure[id] != 0 {
				t.Errorf("%s is lost, ID %d was committed", id, h.sure[id])
			}
			continue
		}
		if have.Version != h.sure[id] && !slices.Contains(h.maybe[id], have.Version) {
			t.Errorf("%s has ID %d, want %d or one of %d", id, have.Version, h.sure[id], h.maybe[id])
		}
		if !bytes.Equal(storetest.Bytes(t, have), versions[have.Version]) {
			t.Errorf("%s with ID %d has other bytes than were written", id, have.Version)
		}
		have.Release()
	}
}

// life is a sequence of operations on a disk tier. It goes on after every error, as an edge
// does.
type life struct {
	*Store
	history *history
	made    payloads
	stop    <-chan struct{}
	id      uint64
}

// payloads are the bodies of a life, made once for all the lives that are alike: a life is
// lived for each of its calls, and under the race detector a body takes longer to make than
// to store.
type payloads map[uint64][]byte

func (p payloads) of(id uint64, size int) []byte {
	if len(p[id]) != size {
		p[id] = storetest.Payload(int(id), size)
	}
	return p[id]
}

func (l *life) commit(name string, size int, declared int64) {
	l.id++
	k := store.Key{Site: "s", ID: name, Metadata: l.id%2 == 0}
	body := l.made.of(l.id, size)
	m := storetest.Meta(k, l.id, body)
	l.breaker = breaker{} // each failure is to be met, not its pause
	l.history.tried(k, l.id, body, func() error {
		w, err := l.Create(k, m, declared)
		if err != nil {
			return err
		}
		defer w.Abort()
		for left := body; len(left) > 0; {
			n := min(len(left), max(8_000, size/4))
			if _, err := w.Write(left[:n]); err != nil {
				return err
			}
			left = left[n:]
		}
		return w.Commit(m)
	}())
}

func (l *life) get(name string) {
	if s := l.Get(store.Key{Site: "s", ID: name}); s != nil {
		s.Body.ReadAt(make([]byte, s.Size()), 0)
		s.Release()
	}
}

func (l *life) renew(name string, old uint64, lines ...string) {
	l.id++
	k := store.Key{Site: "s", ID: name, Metadata: old%2 == 0}
	body := l.history.bodies[name][old]
	l.history.tried(k, l.id, body, l.Freshen(k, old, storetest.Meta(k, l.id, body, lines...)))
}

func (l *life) scrubAll(names ...string) {
	for _, name := range names {
		l.scrubFile(store.Key{Site: "s", ID: name}.Sum(), hasty(l.Store))
	}
}

// small is a bit of everything.
func (l *life) small() {
	l.commit("small", 3000, 3000)
	l.commit("large", 20_000, -1)
	l.commit("both", 50, 50)
	l.get("small")
	l.get("large")
	l.commit("both", 5000, -1) // replaced
	l.renew("small", 1)
	l.get("small")
	l.renew("small", 5)
	l.Scan(l.stop)
	gone := store.Key{Site: "s", ID: "gone"}
	l.commit("gone", 100, 100)
	l.Remove(gone, l.id)
	l.history.maybe["gone"], l.history.sure["gone"] = append(l.history.maybe["gone"], l.history.sure["gone"]), 0
	l.scrubAll("small", "large", "both")
	l.get("both")
}

// large is a life of a body with sums, and of fields beyond their slot.
func (l *life) large() {
	l.commit("huge", record.MaxUnsummed+1, -1)
	l.Index.SetVerified(store.Key{Site: "s", ID: "huge"}.Sum(), 0) // as after a start
	l.get("huge")
	l.renew("huge", l.id, storetest.Long(4000))
	l.renew("huge", l.id, storetest.Long(9000))
	l.renew("huge", l.id, storetest.Long(4000))
	l.get("huge")
	l.scrubAll("huge")
}

// hasty is a scrubber's pace that nobody waits for.
func hasty(d *Store) *scrubPace { return &scrubPace{disk: d, rate: 1 << 50} }
