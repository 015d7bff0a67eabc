package cache

import (
	"fmt"
	"runtime"
	"testing"
)

func TestShares(t *testing.T) {
	for _, budget := range []int64{LeastMemory, 100 << 20, 256 << 20, 1 << 30, 64 << 30} {
		s := Divide(budget)
		sum := s.Tier + s.Afloat + s.Documents + program
		if garbage := budget - sum; garbage < (budget-program)/7 {
			t.Errorf("%d: %+v leave %d to garbage", budget, s, garbage)
		}
		if s.Limit >= budget || s.Limit < budget/2 {
			t.Errorf("%d: the limit is %d", budget, s.Limit)
		}
		if s.Tier < budget/5 || s.Afloat < leastAfloat || s.Documents < 1<<20 {
			t.Errorf("%d: %+v", budget, s)
		}
	}
	// The built-in configuration, 128 MiB in 256 MiB.
	if n := Divide(256 << 20).Document(); n < 128<<20 {
		t.Errorf("documents of %d bytes at most", n)
	}
}

const leastAfloat = 16 * slabSize

// A response counts with what it really takes: its Meta and the allocator's
// rounding included.
func TestCostIsWhatItTakes(t *testing.T) {
	for _, size := range []int64{0, 100, 1500, 9000, 33_000, 70_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m, err := newMemory(Shares{Tier: 256 << 20, Afloat: 256 << 20})
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			const n = 1000
			before := heap()
			for i := range n {
				k := Key{Site: "npm", ID: fmt.Sprintf("tarball/@scope/name-of-it/-/name-of-it-1.0.%d.tgz", i), Group: "@scope/name-of-it"}
				meta := metaFor(k, uint64(i+1), nil, "Content-Type: application/octet-stream", `Etag: "0123456789abcdef0123456789abcdef"`,
					"Last-Modified: Sun, 01 Mar 2026 12:00:00 GMT", "Cache-Control: public, max-age=31536000", "Server: registry.example",
					"Date: Sun, 01 Mar 2026 12:00:00 GMT", "Accept-Ranges: bytes", "Content-Length: 70000")
				meta.Parts[0].Size = size
				m.put(k, meta, room(size), false)
			}
			m.values.Wait()
			took := heap() - before
			used, objects := m.used()
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
	for _, budget := range []int64{64 << 20, 1 << 30} {
		before := heap()
		s := Divide(budget)
		m, err := newMemory(s)
		if err != nil {
			t.Fatal(err)
		}
		if took := heap() - before; took > s.Tier/16 {
			t.Errorf("%d: an empty tier takes %d bytes, of %d", budget, took, s.Tier)
		}
		if m.largest < budget/300 || m.largest > budget/64 {
			t.Errorf("%d: takes responses of up to %d bytes", budget, m.largest)
		}
		m.close()
	}
}
