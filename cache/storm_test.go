package cache

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkStorm asks for nothing twice, and reports how large the process grew
// beside its budget of 256 MiB, less what it was before: the memory tier, its
// bookkeeping, its queue, and fills under way. Half of the bodies are 8 kB, some
// 300 kB, and one in ten is too large to be kept and goes through windows.
//
//	go test -run xxx -bench Storm -benchtime 100000x ./cache
//
// EDGE_BENCH_LIMIT sets the runtime's memory limit, in MiB, as edge does.
func BenchmarkStorm(b *testing.B) {
	const budget = 256 << 20
	if mib, _ := strconv.ParseInt(os.Getenv("EDGE_BENCH_LIMIT"), 10, 64); mib > 0 {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(mib << 20))
	}
	for _, disk := range []int64{0, 4 << 30} {
		b.Run(fmt.Sprintf("disk=%dMiB", disk>>20), func(b *testing.B) {
			debug.FreeOSMemory()
			before := rss()
			c := opened(b, func(cfg *Config) { cfg.Memory, cfg.Disk, cfg.MaxObject = budget, disk, 1<<20 })
			bodies := [][]byte{payload(1, 8<<10), payload(2, 300<<10), payload(3, 2<<20)}
			origin := fetch(func(_ context.Context, _ Ask, fill *Fill) error {
				body := bodies[0]
				switch fill.q.Key.ID[len(fill.q.Key.ID)-1] {
				case '1', '2':
					body = bodies[1]
				case '3':
					body = bodies[2]
				}
				if err := fill.Respond(200, fields("Cache-Control: max-age=3600"), int64(len(body))); err != nil {
					return err
				}
				_, err := fill.Write(body)
				return err
			})
			var n, largest atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				for t := time.NewTicker(10 * time.Millisecond); c.base.Err() == nil; <-t.C {
					largest.Store(max(largest.Load(), rss()))
				}
			}()
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 32<<10)
				for pb.Next() {
					a, err := c.Get(b.Context(), query(strconv.FormatInt(n.Add(1), 10), origin))
					if err != nil {
						b.Error(err)
						return
					}
					body, err := a.Body(b.Context(), 0)
					if err == nil {
						_, err = io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(body, a.Part.Size), buf)
					}
					if err != nil {
						b.Error(err)
					}
					a.Close()
				}
			})
			b.StopTimer()
			used, objects := c.memory.used()
			c.stop(ErrClosed)
			<-done
			b.ReportMetric(float64(largest.Load()-before)/(1<<20), "MiB-RSS")
			b.ReportMetric(float64(used)/(1<<20), "MiB-counted")
			b.ReportMetric(float64(objects), "objects")
		})
	}
}
