package cache

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"pkgedge/cache/purge"
	"pkgedge/cache/store/storetest"
)

// benchmarkHits answers from a stored response of n bytes.
func benchmarkHits(b *testing.B, n int, config func(*Config)) {
	c := opened(b, config)
	q := query("a", always(200, string(storetest.Payload(1, n)), "Cache-Control: max-age=3600", `Etag: "1"`, "Content-Type: application/json"))
	get(c, q)
	settle(c)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 32<<10)
		for pb.Next() {
			a, err := c.Get(context.Background(), q)
			if err != nil || a.Outcome != Hit {
				b.Error("no hit")
				return
			}
			if _, ok := a.Bytes(); !ok {
				r, _ := a.Body(context.Background(), 0)
				for left := a.Part.Size; left > 0; {
					m, err := r.Read(buf[:min(left, int64(len(buf)))])
					if left -= int64(m); err != nil && err != io.EOF {
						b.Error(err)
						return
					}
				}
			}
			a.Close()
		}
	})
}

func BenchmarkGetHitMemory(b *testing.B) { benchmarkHits(b, 4<<10, nil) }

// More than the memory tier takes: each hit opens a file, reads its head and
// all of its body.
func BenchmarkGetHitDisk(b *testing.B) { benchmarkHits(b, 256<<10, nil) }

// Each response is older than the newest purge, which covers none of them.
func BenchmarkGetHitMemoryAfterPurges(b *testing.B) {
	c := opened(b, nil)
	q := query("a", always(200, string(storetest.Payload(1, 4<<10)), "Cache-Control: max-age=3600"))
	q.Key.Group, q.Key.Metadata = "some-package", true
	get(c, q)
	settle(c)
	many := make([]purge.Purge, 1000)
	for i := range many {
		many[i] = purge.Purge{Scope: purge.GroupMetadata, Site: "s", Name: fmt.Sprint("package-", i), Soft: true}
	}
	if err := c.Purge(many...); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a, err := c.Get(context.Background(), q)
			if err != nil || a.Outcome != Hit {
				b.Error("no hit")
				return
			}
			a.Close()
		}
	})
}

// Flights of different keys, whose fetches cost nothing and are not stored.
func BenchmarkGetMiss(b *testing.B) {
	c := opened(b, nil)
	fetcher := always(200, "x", "Cache-Control: no-store")
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		q := query(fmt.Sprint("key-", n.Add(1)), fetcher)
		for pb.Next() {
			a, err := c.Get(context.Background(), q)
			if err != nil {
				b.Error(err)
				return
			}
			a.Close()
		}
	})
}

func BenchmarkPurge(b *testing.B) {
	c := opened(b, nil)
	i := 0
	for b.Loop() {
		i++
		if err := c.Purge(purge.Purge{Scope: purge.GroupMetadata, Site: "s", Name: fmt.Sprint(i % 1000), Soft: true}); err != nil {
			b.Fatal(err)
		}
	}
}
