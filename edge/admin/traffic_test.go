package admin

import (
	"slices"
	"testing"
	"time"
)

func TestTrafficIsReadFromTheMetrics(t *testing.T) {
	m := NewMetrics(Build{})
	m.Observe("npm", "hit", 200, 1000, 50*time.Microsecond)
	m.Observe("npm", "hit", 304, 0, 50*time.Microsecond) // counted by another class, and in the same bytes
	m.Observe("dist", "hit", 200, 24, time.Hour)
	m.Observe("npm", "miss", 200, 7, 200*time.Microsecond)
	m.Observe("npm", "error", 503, 9, time.Second)
	m.Observe("npm", "error", 499, 0, time.Second) // the client left
	all := m.Traffic()
	if failed := all["error"]; failed.Answers != 2 || failed.Errors != 1 {
		t.Errorf("failures %+v; want one error of two answers", failed)
	}
	hit, miss := all["hit"], all["miss"]
	if hit.Answers != 3 || hit.Bytes != 1024 || miss.Answers != 1 || miss.Bytes != 7 {
		t.Errorf("hits %+v, misses %+v", hit, miss)
	}
	want := make([]uint64, len(TimeBounds())+1)
	want[0], want[len(want)-1] = 2, 1
	if !slices.Equal(hit.Times, want) {
		t.Errorf("times of hits %v; want %v", hit.Times, want)
	}
	if len(miss.Times) != len(want) || miss.Times[1] != 1 {
		t.Errorf("times of misses %v", miss.Times)
	}
}
