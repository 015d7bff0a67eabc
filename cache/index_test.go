package cache

import (
	"slices"
	"testing"
)

// name makes a sum that falls into one shard, whatever n is.
func name(n byte) Sum { return Sum{0: 64, 1: n} }

// evicted takes everything out, in order.
func evicted(x *index) (order []byte) {
	for {
		sum, _, ok := x.evict()
		if !ok {
			return order
		}
		order = append(order, sum[1])
	}
}

func TestSieve(t *testing.T) {
	for _, tt := range []struct {
		rule string
		do   func(x *index)
		want []byte
	}{
		{"the oldest leaves first", func(x *index) {}, []byte{1, 2, 3, 4, 5}},
		{"what was hit stays longer", func(x *index) { x.touch(name(1)); x.touch(name(3)) }, []byte{2, 4, 5, 1, 3}},
		{"two hits are one", func(x *index) { x.touch(name(1)); x.touch(name(1)) }, []byte{2, 3, 4, 5, 1}},
		{"all hit: the oldest", func(x *index) {
			for i := range byte(6) {
				x.touch(name(i))
			}
		}, []byte{1, 2, 3, 4, 5}},
		{"the hand goes on where it stopped", func(x *index) {
			x.touch(name(1))
			x.evict() // 2
			x.touch(name(3))
			x.commit(name(6), 10, FileVisits)
		}, []byte{4, 5, 6, 1, 3}},
		{"a survivor of one round is not spared the next", func(x *index) {
			x.touch(name(1))
			x.evict() // 2, and 1 has lost its bit
			for range 3 {
				x.evict() // 3, 4, 5
			}
			x.commit(name(6), 10, FileVisits)
		}, []byte{1, 6}},
		{"what is removed is not evicted", func(x *index) { x.remove(name(1)); x.remove(name(4)); x.remove(name(9)) }, []byte{2, 3, 5}},
		{"what the hand stands at is removed", func(x *index) {
			x.touch(name(1))
			x.evict()         // 2; the hand stands at 3
			x.remove(name(3)) //
		}, []byte{4, 5, 1}},
		{"a place is used again", func(x *index) { x.remove(name(2)); x.commit(name(7), 10, FileVisits) }, []byte{1, 3, 4, 5, 7}},
		{"a put of what is known is no new entry", func(x *index) { x.commit(name(1), 99, FileVisits) }, []byte{1, 2, 3, 4, 5}},
		{"a file found twice counts as hit", func(x *index) { x.hit(name(1), FileVisits, 0) }, []byte{2, 3, 4, 5, 1}},
		{"metadata is passed by once, and after a hit twice", func(x *index) {
			x.commit(name(6), 10, MetadataVisits)
			x.commit(name(7), 10, MetadataVisits)
			x.touch(name(6))
		}, []byte{1, 2, 3, 4, 5, 7, 6}},
		{"one-hit wonders pass by what was asked for twice", func(x *index) {
			x.touch(name(1))
			x.touch(name(2))
			for i := range byte(50) {
				x.commit(name(100+i), 10, FileVisits)
				x.evict()
				x.touch(name(1))
				x.touch(name(2))
			}
			for _, i := range []byte{1, 2} {
				if !x.has(name(i)) {
					x.commit(name(99), 1, FileVisits)
				}
			}
		}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			x := newIndex()
			for i := byte(1); i <= 5; i++ {
				x.commit(name(i), 10, FileVisits)
			}
			tt.do(x)
			if tt.want == nil {
				if !x.has(name(1)) || !x.has(name(2)) || x.has(name(99)) {
					t.Error("what was asked for again has left")
				}
			} else if have := evicted(x); !slices.Equal(have, tt.want) {
				t.Errorf("left in order %v, want %v", have, tt.want)
			}
			evicted(x)
			if x.used.Load() != 0 || x.count.Load() != 0 {
				t.Errorf("empty, and yet %d bytes in %d files", x.used.Load(), x.count.Load())
			}
		})
	}
}

// Metadata that is a quarter of the bytes at most outlives files, whatever is
// asked for; more than that does not crowd files out.
func TestMetadataOutlivesFiles(t *testing.T) {
	for size, stays := range map[int64]bool{10: true, 40: true, 80: false} {
		x := newIndex()
		x.commit(name(200), size, MetadataVisits)
		for i := range byte(20) {
			x.commit(name(i), 10, FileVisits)
		}
		for i := range byte(150) {
			for j := range byte(200) {
				x.touch(name(j))
			}
			if sum, _, _ := x.evict(); sum != name(200) {
				x.commit(name(i+20), 10, FileVisits)
			}
		}
		if x.has(name(200)) != stays {
			t.Errorf("%d bytes of metadata beside 200: there is %t, want %t", size, !stays, stays)
		}
		evicted(x)
		if x.used.Load() != 0 || x.metadata.Load() != 0 || x.shard(name(0)).files != 0 {
			t.Errorf("empty, and yet %d bytes, %d of metadata, %d files", x.used.Load(), x.metadata.Load(), x.shard(name(0)).files)
		}
	}
}

func TestIndexCounts(t *testing.T) {
	x := newIndex()
	for i := range 1000 {
		x.commit(Sum{byte(i), byte(i >> 8), 7}, 10, FileVisits)
	}
	if x.used.Load() != 10000 || x.count.Load() != 1000 {
		t.Errorf("%d bytes in %d files", x.used.Load(), x.count.Load())
	}
	x.commit(Sum{0, 0, 7}, 25, FileVisits)
	if x.used.Load() != 10015 || x.count.Load() != 1000 {
		t.Errorf("replaced: %d bytes in %d files", x.used.Load(), x.count.Load())
	}
	seen := make(map[Sum]bool)
	for {
		sum, _, ok := x.evict()
		if !ok {
			break
		}
		if seen[sum] {
			t.Fatalf("%x left twice", sum)
		}
		seen[sum] = true
	}
	if len(seen) != 1000 || x.used.Load() != 0 {
		t.Errorf("%d left, %d bytes remain", len(seen), x.used.Load())
	}
}
