package cache

import (
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestVersionsGrow(t *testing.T) {
	var l versionClock
	last := uint64(0)
	for _, now := range []time.Time{policytest.Epoch, policytest.Epoch, policytest.Epoch.Add(-time.Hour), policytest.Epoch.Add(time.Hour), policytest.Epoch} {
		id := l.next(now)
		if id <= last {
			t.Errorf("%d after %d", id, last)
		}
		last = id
	}
	l.saw(last + 1000) // a stored response's, of before the clock stepped back
	l.saw(3)
	if id := l.next(policytest.Epoch); id != last+1001 {
		t.Errorf("%d after %d was seen", id, last+1000)
	}
}
