package purge

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"

	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

// A table that grows loses nothing, and covers nothing that was not purged.
func TestTableGrows(t *testing.T) {
	const n = 10_000
	x := newTable(maphash.MakeSeed(), marked{}, minSlots)
	for i := range n {
		x = x.add(x.hash(target{Key, "s", fmt.Sprint(i)}), marked{gone: uint64(i + 1)})
	}
	if x.used != n || len(x.slots) < 2*n {
		t.Errorf("%d of %d slots are used, want %d", x.used, len(x.slots), n)
	}
	for i := range n {
		k := store.Key{Site: "s", ID: fmt.Sprint(i)}
		if x.covers(k, uint64(i)) != policy.MarkedGone || x.covers(k, uint64(i+1)) != policy.NotMarked {
			t.Fatalf("key %d is not covered as it was purged", i)
		}
		for _, k := range []store.Key{{Site: "t", ID: fmt.Sprint(i)}, {Site: "s", ID: "-", Group: fmt.Sprint(i), Metadata: true}} {
			if x.covers(k, 0) != policy.NotMarked {
				t.Fatalf("%v is covered", k)
			}
		}
	}
}

// Targets whose hashes fall on one slot, at the table's end, stand in those that follow.
func TestTableProbes(t *testing.T) {
	x := newTable(maphash.MakeSeed(), marked{}, minSlots)
	last := uint64(1<<63 | minSlots - 1)
	for i := range uint64(3) {
		x = x.add(last+i*minSlots, marked{gone: 10 + i, stale: 20 + i})
	}
	for i := range uint64(3) {
		if have := x.find(last + i*minSlots); have != (marked{10 + i, 20 + i}) {
			t.Errorf("slot %d has %v", i, have)
		}
	}
	if have := x.find(last + 3*minSlots); have != (marked{}) {
		t.Errorf("a hash that was not added has %v", have)
	}
	x.add(last, marked{gone: 5, stale: 50})
	if have := x.find(last); have != (marked{10, 50}) {
		t.Errorf("after an older purge and a newer: %v", have)
	}
}

// While a table grows or folds, an acknowledged purge covers the responses from before it.
func TestMarkWhilePurging(t *testing.T) {
	p := newPurges(200) // folds now and then
	var purged atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				n := purged.Load()
				for i := max(0, n-50); i < n; i++ {
					if p.Mark(store.Key{Site: "s", ID: fmt.Sprint(i)}, 0) != policy.MarkedGone {
						t.Errorf("purge %d of %d is not seen", i, n)
						return
					}
				}
				if n == 2000 {
					return
				}
			}
		})
	}
	for i := range 2000 {
		p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: fmt.Sprint(i)})
		purged.Store(int64(i + 1))
	}
	wg.Wait()
}

// A look-up of a packument that is older than the newest of so many purges: the dearest,
// for it asks for marks of all five kinds.
func BenchmarkMark(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(n, " purges"), func(b *testing.B) {
			p := newPurges(maxMarks)
			for i := range n {
				p.Add(Purge{Scope: GroupMetadata, Site: "s", Name: fmt.Sprint("package-", i), Soft: true})
			}
			k := store.Key{Site: "s", ID: "packument/some-package", Group: "some-package", Metadata: true}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if p.Mark(k, 0) != policy.NotMarked {
						b.Error("marked")
					}
				}
			})
		})
	}
}
