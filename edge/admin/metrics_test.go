package admin

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("/metrics = %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsShowWhatWasCounted(t *testing.T) {
	m := NewMetrics(Build{"v1.2.3", "abc", "go9.9"})
	m.Observe("npm", "hit", 200, 100, time.Millisecond)
	m.Observe("npm", "hit", 304, 200, 2*time.Second)
	m.Observe("npm", "miss", 0, -1, time.Second) // of unknown length
	m.Origin("npm", "a", "ok")
	m.Origin("npm", "a", "ok")
	m.Origin("npm", "b", "timeout")
	m.Begin()
	m.Begin()
	m.End()
	objects := 41.0
	m.Gauge("edge_cache_objects", "Objects kept.", func() float64 { return objects })
	objects++

	text := scrape(t, m)
	for _, line := range []string{
		`edge_requests_total{outcome="hit",site="npm"} 2`,
		`edge_requests_total{outcome="miss",site="npm"} 1`,
		`edge_responses_total{class="2xx",site="npm"} 1`,
		`edge_responses_total{class="3xx",site="npm"} 1`,
		`edge_responses_total{class="none",site="npm"} 1`,
		`edge_build_info{go="go9.9",revision="abc",version="v1.2.3"} 1`,
		`edge_response_bytes_total{outcome="hit",site="npm"} 300`,
		`edge_response_bytes_total{outcome="miss",site="npm"} 0`,
		`edge_response_seconds_count{outcome="hit"} 2`,
		`edge_response_seconds_bucket{outcome="hit",le="0.001"} 1`,
		`edge_origin_requests_total{master="a",result="ok",site="npm"} 2`,
		`edge_origin_requests_total{master="b",result="timeout",site="npm"} 1`,
		`edge_requests_in_flight 1`,
		`edge_cache_objects 42`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	served := map[string]int64{}
	m.Served(func(site, outcome string, n int64) { served[site+" "+outcome] += n })
	if want := map[string]int64{"npm hit": 2, "npm miss": 1}; !maps.Equal(served, want) {
		t.Errorf("served %v; want %v", served, want)
	}
	for _, part := range []string{`version="v1.2.3"`, "go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(text, part) {
			t.Errorf("/metrics lacks %q", part)
		}
	}
}

func TestTwoMetricsShareNothing(t *testing.T) {
	a, b := NewMetrics(Build{}), NewMetrics(Build{})
	a.Observe("npm", "hit", 200, 1, time.Second)
	if strings.Contains(scrape(t, b), "edge_requests_total{") {
		t.Error("what one counted, the other shows")
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMetrics(Build{})
	count := func() {
		m.Begin()
		m.Observe("npm", "hit", 200, 1, time.Millisecond)
		m.Origin("npm", "a", "ok")
		m.End()
	}
	count()
	if n := testing.AllocsPerRun(1000, count); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestConcurrentCountsAreAllThere(t *testing.T) {
	m := NewMetrics(Build{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 400 {
				m.Observe("npm", fmt.Sprint("outcome", i%40), 200, 1, 0)
			}
		})
	}
	wg.Wait()
	text := scrape(t, m)
	for i := range 40 {
		line := fmt.Sprintf("edge_requests_total{outcome=\"outcome%d\",site=\"npm\"} 80\n", i)
		if !strings.Contains(text, line) {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}

func TestLabelsBeyondTheBoundAreCountedTogether(t *testing.T) {
	resolved := 0
	c := children[int, *int]{resolve: func(int) *int { resolved++; return new(int) }}
	for i := range maxChildren + 100 {
		*c.get(i + 1)++
	}
	if known := len(*c.known.Load()); known != maxChildren+1 || resolved != known {
		t.Errorf("%d sets of labels kept and %d resolved, want %d", known, resolved, maxChildren+1)
	}
	if got := *c.get(0); got != 100 {
		t.Errorf("%d counted beyond the bound, want 100", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics(Build{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Observe("npm", "hit", 200, 1000, time.Millisecond)
		}
	})
}
