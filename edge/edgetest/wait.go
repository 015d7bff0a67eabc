package edgetest

import (
	"runtime"
	"testing"
	"time"
)

// Patience is how long a test waits for an event. It is for machines under load: an
// event that has not come by then does not come, and the test fails instead of
// hanging.
const Patience = time.Minute

// Receive returns the next value of c, or the zero value once c is closed. It fails
// the test when neither happens.
func Receive[T any](t testing.TB, c <-chan T, event string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatalf("%s: has not happened", event)
		panic("unreachable")
	}
}

// Until waits until done reports true, and fails the test when it does not. After a first
// while it asks once in a millisecond: the goroutines that it waits for need the
// processor.
func Until(t testing.TB, event string, done func() bool) {
	t.Helper()
	end := time.Now().Add(Patience)
	for asked := 0; !done(); asked++ {
		if asked < 100 {
			runtime.Gosched()
			continue
		}
		if time.Now().After(end) {
			t.Fatalf("%s: has not happened", event)
		}
		time.Sleep(time.Millisecond)
	}
}
