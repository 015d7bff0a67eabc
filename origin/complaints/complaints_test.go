package complaints

import (
	"fmt"
	"testing"
	"time"
)

func TestOneLineInAWhile(t *testing.T) {
	var c Complaints
	now := time.Now()
	a, b := About{"a", "packument", "timeout"}, About{"b", "packument", "timeout"}
	for _, tt := range []struct {
		about About
		later time.Duration
		more  int
		ok    bool
	}{
		{a, 0, 0, true},
		{a, 0, 0, false},
		{a, Quiet - 1, 0, false},
		{b, Quiet - 1, 0, true},
		{a, Quiet, 2, true},
		{a, 2*Quiet - 1, 0, false},
		{a, 2 * Quiet, 1, true},
		{a, 3 * Quiet, 0, true},
	} {
		if more, ok := c.Admit(tt.about, now.Add(tt.later)); more != tt.more || ok != tt.ok {
			t.Errorf("%v after %s: %d, %t; want %d, %t", tt.about, tt.later, more, ok, tt.more, tt.ok)
		}
	}
}

func TestTheTableIsBounded(t *testing.T) {
	var c Complaints
	for i := range 10 * most {
		if _, ok := c.Admit(About{Master: fmt.Sprint(i)}, time.Now()); !ok {
			t.Fatal("another one is not told")
		}
	}
	if len(c.of) > most {
		t.Errorf("%d are remembered", len(c.of))
	}
}
