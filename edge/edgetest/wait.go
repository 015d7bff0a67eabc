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

// Until waits until done reports true, and fails the test when it does not.
func Until(t testing.TB, event string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: has not happened", event)
		}
	}
}
