package pool

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	now := time.Now()
	b := &budget{share: 0.1, perSecond: 2, most: 4, saved: 4}
	spend := func(n int) (spent int) {
		for range n {
			if b.spend(now) {
				spent++
			}
		}
		return spent
	}
	for _, tt := range []struct {
		what        string
		requests    int
		after       time.Duration
		tries, want int
	}{
		{"what was saved up", 0, 0, 9, 4},
		{"nothing more", 0, 0, 9, 0},
		{"a tenth of the requests", 20, 0, 9, 2},
		{"a little each second", 0, time.Second, 9, 2},
		{"no more than can be saved up", 1000, time.Hour, 9, 4},
	} {
		now = now.Add(tt.after)
		for range tt.requests {
			b.earn(now)
		}
		if got := spend(tt.tries); got != tt.want {
			t.Errorf("%s: %d of %d; want %d", tt.what, got, tt.tries, tt.want)
		}
	}
}
