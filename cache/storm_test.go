package cache

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/cache/budget"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store/storetest"
)

// BenchmarkStorm asks for nothing twice, with 64 clients on two processors, and
// shows the resident memory of the whole process beside its budget: the memory
// tier, its bookkeeping, its queue, fills under way, garbage, and the program. Of
// ten bodies seven have 8 kB, two 300 kB, and one, of 2 MB, is too large to be
// kept and goes through windows.
//
//	go test -run xxx -bench Storm -benchtime 40000x ./cache
//
// It prints for each budget, without a disk tier and with one:
//
//	MiB-RSS   the most that was resident at any moment (/proc/self/statm, every 10 ms)
//	MiB-tier  the memory tier's own count of its bytes
//	%GC       the collector's part of the processors' time
//	ns/op     for one miss; the origin is a function call
//
// It fails where the process passes its budget. With the disk tier it writes
// some 3 GB below TMPDIR, less where the system is short of room.
func BenchmarkStorm(b *testing.B) {
	for _, mib := range []int64{64, 256, 1024} {
		for name, disk := range map[string]int64{"memory": 0, "tiers": 8 << 30} {
			b.Run(fmt.Sprintf("%dMiB/%s", mib, name), func(b *testing.B) { storm(b, mib<<20, disk) })
		}
	}
}

func storm(b *testing.B, total, disk int64) {
	defer debug.SetGCPercent(debug.SetGCPercent(budget.GCPercent))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(budget.Split(total).Limit))
	c := opened(b, func(cfg *Config) { cfg.Memory, cfg.Disk, cfg.MaxObject = total, disk, 1<<20 })
	bodies := [10][]byte{1: storetest.Payload(2, 300<<10), 3: storetest.Payload(3, 2<<20)}
	bodies[2] = bodies[1]
	small := storetest.Payload(1, 8<<10)
	origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
		body := bodies[fill.q.Key.ID[len(fill.q.Key.ID)-1]-'0']
		if body == nil {
			body = small
		}
		if err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=3600"), int64(len(body))); err != nil {
			return err
		}
		_, err := fill.Write(body)
		return err
	})
	debug.FreeOSMemory() // the garbage of an earlier run does not count
	most, done := watchRSS(c.base)
	gc := collecting()
	var n atomic.Int64
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
	used := c.memory.Usage().MemoryBytes
	c.stop(ErrClosed)
	<-done
	b.ReportMetric(float64(most.Load())/(1<<20), "MiB-RSS")
	b.ReportMetric(float64(used)/(1<<20), "MiB-tier")
	b.ReportMetric(100*(collecting()-gc)/(b.Elapsed().Seconds()*float64(runtime.GOMAXPROCS(0))), "%GC")
	if most.Load() > total {
		b.Errorf("%d bytes were resident, of %d", most.Load(), total)
	}
}

// watchRSS measures until ctx ends.
func watchRSS(ctx context.Context) (most *atomic.Int64, done chan struct{}) {
	most, done = new(atomic.Int64), make(chan struct{})
	go func() {
		defer close(done)
		for t := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-t.C {
			most.Store(max(most.Load(), storetest.RSS()))
		}
	}()
	return most, done
}

// collecting is the processor time the collector has had, in seconds.
func collecting() float64 {
	runtime.GC() // which brings the figure up to date
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}
