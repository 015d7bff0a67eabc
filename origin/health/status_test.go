package health

import (
	"testing"
	"time"
)

func TestTheLastProbesAreRemembered(t *testing.T) {
	var l probeLog
	if got := l.list(); len(got) != 0 {
		t.Fatalf("%v before the first probe", got)
	}
	for i := range maxProbes + 3 {
		l.add(time.Duration(i)*time.Millisecond, i != maxProbes+1)
	}
	got := l.list()
	if len(got) != maxProbes || got[0].MS != 3 || got[maxProbes-1].MS != maxProbes+2 {
		t.Fatalf("%d probes from %v to %v; want %d from 3 to %d ms", len(got), got[0], got[len(got)-1], maxProbes, maxProbes+2)
	}
	if got[maxProbes-2].OK || !got[maxProbes-1].OK {
		t.Errorf("the last two are %v; want a failure, and then a success", got[maxProbes-2:])
	}
}

func TestFirstBytesAreCountedByTime(t *testing.T) {
	var h histogram
	for _, took := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 3 * time.Second, time.Minute} {
		h.add(took)
	}
	got := h.read()
	for seconds, want := range map[float64]uint64{.001: 2, .0025: 3, 2.5: 3, 5: 4, 30: 4} {
		if n := got.Counts[seconds]; n != want {
			t.Errorf("%d took at most %g s; want %d", n, seconds, want)
		}
	}
	if got.Count != 5 || got.Sum < 63 || got.Sum > 63.01 || len(got.Counts) != len(firstByteBounds) {
		t.Errorf("%+v", got)
	}
}
