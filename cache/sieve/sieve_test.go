package sieve

import (
	"slices"
	"testing"
)

// name makes a sum for n. All fall into one shard.
func name(n byte) [16]byte { return [16]byte{0: 64, 1: n} }

// evicted takes everything out, in order.
func evicted(x *Set) (order []byte) {
	for {
		sum, _, ok := x.Evict()
		if !ok {
			return order
		}
		order = append(order, sum[1])
	}
}

func TestSieve(t *testing.T) {
	for _, tt := range []struct {
		rule string
		do   func(x *Set)
		want []byte
	}{
		{"the oldest leaves first", func(x *Set) {}, []byte{1, 2, 3, 4, 5}},
		{"what was hit stays longer", func(x *Set) { x.Touch(name(1), new(Visit)); x.Touch(name(3), new(Visit)) }, []byte{2, 4, 5, 1, 3}},
		{"two hits are one", func(x *Set) { x.Touch(name(1), new(Visit)); x.Touch(name(1), new(Visit)) }, []byte{2, 3, 4, 5, 1}},
		{"all hit: the oldest", func(x *Set) {
			for i := range byte(6) {
				x.Touch(name(i), new(Visit))
			}
		}, []byte{1, 2, 3, 4, 5}},
		{"the hand goes on where it stopped", func(x *Set) {
			x.Touch(name(1), new(Visit))
			x.Evict() // 2
			x.Touch(name(3), new(Visit))
			x.Commit(name(6), 10, FileVisits)
		}, []byte{4, 5, 6, 1, 3}},
		{"a survivor of one round is not spared the next", func(x *Set) {
			x.Touch(name(1), new(Visit))
			x.Evict() // 2, and 1 has lost its bit
			for range 3 {
				x.Evict() // 3, 4, 5
			}
			x.Commit(name(6), 10, FileVisits)
		}, []byte{1, 6}},
		{"what is removed is not evicted", func(x *Set) { x.Remove(name(1)); x.Remove(name(4)); x.Remove(name(9)) }, []byte{2, 3, 5}},
		{"what the hand stands at is removed", func(x *Set) {
			x.Touch(name(1), new(Visit))
			x.Evict()         // 2; the hand stands at 3
			x.Remove(name(3)) //
		}, []byte{4, 5, 1}},
		{"a place is used again", func(x *Set) { x.Remove(name(2)); x.Commit(name(7), 10, FileVisits) }, []byte{1, 3, 4, 5, 7}},
		{"a put of what is known is no new entry", func(x *Set) { x.Commit(name(1), 99, FileVisits) }, []byte{1, 2, 3, 4, 5}},
		{"a file found twice counts as hit", func(x *Set) { x.Hit(name(1), FileVisits, 0) }, []byte{2, 3, 4, 5, 1}},
		{"metadata is passed by once, and after a hit twice", func(x *Set) {
			x.Commit(name(6), 10, MetadataVisits)
			x.Commit(name(7), 10, MetadataVisits)
			x.Touch(name(6), new(Visit))
		}, []byte{1, 2, 3, 4, 5, 7, 6}},
		{"one-hit wonders pass by what was asked for twice", func(x *Set) {
			x.Touch(name(1), new(Visit))
			x.Touch(name(2), new(Visit))
			for i := range byte(50) {
				x.Commit(name(100+i), 10, FileVisits)
				x.Evict()
				x.Touch(name(1), new(Visit))
				x.Touch(name(2), new(Visit))
			}
			for _, i := range []byte{1, 2} {
				if !x.Has(name(i)) {
					x.Commit(name(99), 1, FileVisits)
				}
			}
		}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			x := New()
			for i := byte(1); i <= 5; i++ {
				x.Commit(name(i), 10, FileVisits)
			}
			tt.do(x)
			if tt.want == nil {
				if !x.Has(name(1)) || !x.Has(name(2)) || x.Has(name(99)) {
					t.Error("what was asked for again has left")
				}
			} else if have := evicted(x); !slices.Equal(have, tt.want) {
				t.Errorf("left in order %v, want %v", have, tt.want)
			}
			evicted(x)
			if x.Used.Load() != 0 || x.Count.Load() != 0 {
				t.Errorf("empty, and yet %d bytes in %d files", x.Used.Load(), x.Count.Load())
			}
		})
	}
}

// Metadata of at most a quarter of the bytes outlives files under any requests. More
// metadata does not crowd files out.
func TestMetadataOutlivesFiles(t *testing.T) {
	for size, stays := range map[int64]bool{10: true, 40: true, 80: false} {
		x := New()
		x.Commit(name(200), size, MetadataVisits)
		for i := range byte(20) {
			x.Commit(name(i), 10, FileVisits)
		}
		for i := range byte(150) {
			for j := range byte(200) {
				x.Touch(name(j), new(Visit))
			}
			if sum, _, _ := x.Evict(); sum != name(200) {
				x.Commit(name(i+20), 10, FileVisits)
			}
		}
		if x.Has(name(200)) != stays {
			t.Errorf("%d bytes of metadata beside 200: there is %t, want %t", size, !stays, stays)
		}
		evicted(x)
		if x.Used.Load() != 0 || x.Metadata.Load() != 0 || x.shard(name(0)).files != 0 {
			t.Errorf("empty, and yet %d bytes, %d of metadata, %d files", x.Used.Load(), x.Metadata.Load(), x.shard(name(0)).files)
		}
	}
}

func TestIndexCounts(t *testing.T) {
	x := New()
	for i := range 1000 {
		x.Commit([16]byte{byte(i), byte(i >> 8), 7}, 10, FileVisits)
	}
	if x.Used.Load() != 10000 || x.Count.Load() != 1000 {
		t.Errorf("%d bytes in %d files", x.Used.Load(), x.Count.Load())
	}
	x.Commit([16]byte{0, 0, 7}, 25, FileVisits)
	if x.Used.Load() != 10015 || x.Count.Load() != 1000 {
		t.Errorf("replaced: %d bytes in %d files", x.Used.Load(), x.Count.Load())
	}
	seen := make(map[[16]byte]bool)
	for {
		sum, _, ok := x.Evict()
		if !ok {
			break
		}
		if seen[sum] {
			t.Fatalf("%x left twice", sum)
		}
		seen[sum] = true
	}
	if len(seen) != 1000 || x.Used.Load() != 0 {
		t.Errorf("%d left, %d bytes remain", len(seen), x.Used.Load())
	}
}

// A Visit spares the lock only as long as the entry has all its visits.
func TestTouchThroughOneVisit(t *testing.T) {
	x, visit := New(), new(Visit)
	for i := range byte(4) {
		x.Commit(name(i), 10, FileVisits)
	}
	x.Touch(name(0), visit)
	x.Touch(name(0), visit) // nothing has changed, and nothing is written
	x.Evict()               // 1, and 0 has lost its visit
	x.Touch(name(0), visit)
	if have := evicted(x); !slices.Equal(have, []byte{2, 3, 0}) {
		t.Errorf("left in the order %v: a touch after the hand passed was lost", have)
	}
	x.Touch(name(0), visit) // of nothing
	x.Commit(name(0), 10, FileVisits)
	x.Commit(name(1), 10, FileVisits)
	x.Touch(name(0), visit)
	if have := evicted(x); !slices.Equal(have, []byte{1, 0}) {
		t.Errorf("left in the order %v: a touch after a new commit was lost", have)
	}
}

func BenchmarkTouch(b *testing.B) {
	x := New()
	sums, visits := make([][16]byte, 1<<16), make([]Visit, 1<<16)
	for i := range sums {
		sums[i] = [16]byte{0: byte(i), 1: byte(i >> 8)}
		x.Commit(sums[i], 4096, FileVisits)
	}
	for _, bm := range []struct {
		name string
		mask int
	}{{"one entry", 0}, {"many entries", len(sums) - 1}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					x.Touch(sums[i&bm.mask], &visits[i&bm.mask])
				}
			})
		})
	}
}
