package recent

import (
	"testing"
	"time"
)

func TestValuesPass(t *testing.T) {
	m := New[string, int](10, time.Minute)
	begun := time.Now()
	m.Put("a", 1, begun)
	if it, at, ok := m.Get("a", begun.Add(time.Minute-1)); it != 1 || !at.Equal(begun) || !ok {
		t.Errorf("%d at %v, %v", it, at, ok)
	}
	if it, _, ok := m.Get("a", begun.Add(time.Minute)); it != 0 || ok || m.Len() != 0 {
		t.Errorf("after its time: %d, %v, %d values", it, ok, m.Len())
	}
	m.Put("b", 1, begun)
	if m.Delete("b"); m.Len() != 0 {
		t.Errorf("%d values", m.Len())
	}
}

func TestTheOldestMakeRoom(t *testing.T) {
	const most = 16
	m := New[int, int](most, time.Hour)
	now := time.Now()
	for i := range 10 * most {
		now = now.Add(time.Second)
		m.Put(i, i, now)
		if m.Len() > most {
			t.Fatalf("%d values", m.Len())
		}
		if _, _, ok := m.Get(i, now); !ok {
			t.Fatalf("the newest has gone")
		}
	}
	if _, _, ok := m.Get(0, now); ok || m.Len() < most-most/8 {
		t.Errorf("the oldest is there: %v, %d values", ok, m.Len())
	}
	// A value that is there already takes no room, and values whose time is over go first.
	n := m.Len()
	if m.Put(10*most-1, 0, now); m.Len() != n {
		t.Errorf("%d values; want %d", m.Len(), n)
	}
	now = now.Add(time.Hour - 1)
	for i := range most - 1 { // beside the one that was put again last
		m.Put(-1-i, 0, now)
	}
	if _, _, ok := m.Get(-1, now); !ok || m.Len() > most {
		t.Errorf("a newer value has gone before those whose time is over: %d values", m.Len())
	}
}
