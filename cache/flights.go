package cache

import (
	"hash/maphash"
	"sync"

	"pkgedge/cache/flight"
	"pkgedge/cache/store"
)

// flights has the fetches under way, in shards by the hash of their keys: requests for one
// key meet in its shard, and requests for two keys rarely do.
type flights struct {
	seed   maphash.Seed
	shards [64]flightShard
}

// flightShard is one shard. Under its mu only a Flight's own lock is taken, and nothing of
// another package but flight and purge is called.
type flightShard struct {
	mu      sync.Mutex
	joined  map[flight.Key]*flight.Flight // those that requests can join
	filling map[flight.Key]int            // fills under way, also those for one client alone
	closed  bool

	_ [32]byte // two shards stand on two lines
}

func newFlights() *flights {
	fs := &flights{seed: maphash.MakeSeed()}
	for i := range fs.shards {
		fs.shards[i].joined, fs.shards[i].filling = make(map[flight.Key]*flight.Flight), make(map[flight.Key]int)
	}
	return fs
}

// shard returns the shard of a key. All parts of a key share it.
func (fs *flights) shard(site, id string) *flightShard {
	h := maphash.String(fs.seed, id) ^ maphash.String(fs.seed, site)
	return &fs.shards[h%uint64(len(fs.shards))]
}

// close prevents new flights.
func (fs *flights) close() {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
}

// fills says whether a response for the key is being fetched.
func (fs *flights) fills(k store.Key) bool {
	s := fs.shard(k.Site, k.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filling[flight.Key{Site: k.Site, ID: k.ID}] > 0
}

// fillDone ends the count of a fill.
func (fs *flights) fillDone(f *flight.Flight) {
	s := fs.shard(f.Key.Site, f.Key.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := f.Key.Whole()
	if s.filling[id]--; s.filling[id] == 0 {
		delete(s.filling, id)
	}
}

// remove takes a flight out of the map; a newer one for the same key stays.
func (fs *flights) remove(f *flight.Flight) {
	s := fs.shard(f.Key.Site, f.Key.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined[f.Key] == f {
		delete(s.joined, f.Key)
	}
}

// count is how many flights can be joined, and for how many keys fills are under way.
func (fs *flights) count() (joined, filling int) {
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		joined += len(s.joined)
		filling += len(s.filling)
		s.mu.Unlock()
	}
	return joined, filling
}
