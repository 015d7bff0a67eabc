package history

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

var start = time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)

func TestAnHourIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		h := NewHour(nil, begun)
		ctx, stop := context.WithCancel(t.Context())
		var total int64
		go h.Run(ctx, func() Totals {
			total += 5
			return Totals{Requests: total, Memory: total}
		})
		time.Sleep(Step - 1)
		synctest.Wait()
		if s, next := h.Since(0); len(s) != 0 || next != 0 {
			t.Fatalf("%d samples before the first step", len(s))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		s, next := h.Since(0)
		if len(s) != 1 || next != 1 || s[0].Requests != 5 || s[0].Seconds != 10 || !s[0].At.Equal(begun.Add(Step)) {
			t.Fatalf("after a step: %+v, next %d", s, next)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		s, next = h.Since(next)
		if len(s) != Samples || next != 721 {
			t.Fatalf("after two hours: %d samples, next %d; want %d, 721", len(s), next, Samples)
		}
		for i := range s {
			if want := begun.Add(time.Duration(721-Samples+i+1) * Step); !s[i].At.Equal(want) || s[i].Requests != 5 {
				t.Fatalf("sample %d is of %v with %d requests; want %v with 5", i, s[i].At, s[i].Requests, want)
			}
		}
		if s, next := h.Since(next); len(s) != 0 || next != 721 {
			t.Errorf("%d samples are new, next %d", len(s), next)
		}
		if last := s[Samples-1]; last.Memory != 721*5 {
			t.Errorf("memory %d is no level", last.Memory)
		}
		stop()
		synctest.Wait()
	})
}

func TestACounterThatFallsIsNoTraffic(t *testing.T) {
	h := NewHour(nil, start)
	h.Add(start.Add(Step), Totals{Fetched: 1000, Sent: 10})
	h.Add(start.Add(2*Step), Totals{Fetched: 400, Sent: 30}) // a master has gone
	h.Add(start.Add(3*Step), Totals{Fetched: 450, Sent: 30})
	s, _ := h.Since(1)
	if s[0].Fetched != 0 || s[0].Sent != 20 || s[1].Fetched != 50 || s[1].Sent != 0 {
		t.Errorf("fetched %d and %d, sent %d and %d; want 0 and 50, 20 and 0", s[0].Fetched, s[1].Fetched, s[0].Sent, s[1].Sent)
	}
}

func TestPercentilesAreOfTheStep(t *testing.T) {
	bounds := []float64{0.001, 0.01, 0.1}
	h := NewHour(bounds, start)
	h.Add(start.Add(Step), Totals{Times: []uint64{1000, 0, 0, 0}})
	h.Add(start.Add(2*Step), Totals{Times: []uint64{1000, 98, 2, 0}})
	h.Add(start.Add(3*Step), Totals{Times: []uint64{1000, 98, 2, 0}})
	s, _ := h.Since(0)
	if s[0].P50 != 0.0005 {
		t.Errorf("p50 of the first step is %v; want half of 1 ms", s[0].P50)
	}
	if s[1].P50 < 0.001 || s[1].P50 > 0.01 || s[1].P99 < 0.01 || s[1].P99 > 0.1 {
		t.Errorf("p50 %v, p99 %v of the second step", s[1].P50, s[1].P99)
	}
	if s[2].P50 != 0 || s[2].P99 != 0 {
		t.Errorf("p50 %v, p99 %v of a step without answers", s[2].P50, s[2].P99)
	}
}

func TestQuantile(t *testing.T) {
	bounds := []float64{1, 2, 4}
	for _, tt := range []struct {
		counts  []uint64
		percent uint64
		want    float64
	}{
		{nil, 50, 0},
		{[]uint64{0, 0, 0, 0}, 50, 0},
		{[]uint64{4, 0, 0, 0}, 50, 0.5},
		{[]uint64{1, 1, 0, 0}, 50, 1},
		{[]uint64{0, 2, 2, 0}, 75, 3},
		{[]uint64{0, 0, 0, 9}, 50, 4}, // beyond the last bound, which is all that is known
		{[]uint64{99, 0, 0, 1}, 99, 1},
	} {
		if got := quantile(bounds, tt.counts, tt.percent); got != tt.want {
			t.Errorf("%d of 100 of %v are below %v; want %v", tt.percent, tt.counts, got, tt.want)
		}
	}
}
