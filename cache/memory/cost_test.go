package memory

import (
	"fmt"
	"runtime"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// A response counts with its real size in memory: its Meta and the allocator's rounding
// included.
func TestCostIsWhatItTakes(t *testing.T) {
	for _, size := range []int64{0, 100, 1500, 9000, 33_000, 70_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m, err := New(budget.Shares{Tier: 256 << 20, InFlight: 256 << 20}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			const n = 1000
			before := storetest.Heap()
			for i := range n {
				k := store.Key{Site: "npm", ID: fmt.Sprintf("tarball/@scope/name-of-it/-/name-of-it-1.0.%d.tgz", i), Group: "@scope/name-of-it"}
				meta := storetest.Meta(k, uint64(i+1), nil, "Content-Type: application/octet-stream", `Etag: "0123456789abcdef0123456789abcdef"`,
					"Last-Modified: Sun, 01 Mar 2026 12:00:00 GMT", "Cache-Control: public, max-age=31536000", "Server: registry.example",
					"Date: Sun, 01 Mar 2026 12:00:00 GMT", "Accept-Ranges: bytes", "Content-Length: 70000")
				meta.Parts[0].Size = size
				m.Put(k, meta, Alloc(size), false)
			}
			m.Wait()
			took := storetest.Heap() - before
			used, objects := m.Usage().MemoryBytes, m.Usage().MemoryObjects
			if objects != n {
				t.Fatalf("%d are held", objects)
			}
			if used < took*9/10 || used > 2*took {
				t.Errorf("counted %d bytes each, and each takes %d", used/n, took/n)
			}
			runtime.KeepAlive(m)
		})
	}
}

// About 30 counters for each object that fits, and yet a small part of the
// budget.
func TestCountersTakeLittle(t *testing.T) {
	for _, total := range []int64{64 << 20, 1 << 30} {
		before := storetest.Heap()
		s := budget.Split(total)
		m, err := New(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := storetest.Heap() - before; took > s.Tier/16 {
			t.Errorf("%d: an empty tier takes %d bytes, of %d", total, took, s.Tier)
		}
		if m.largest < total/300 || m.largest > total/64 {
			t.Errorf("%d: takes responses of up to %d bytes", total, m.largest)
		}
		m.Close()
	}
}
