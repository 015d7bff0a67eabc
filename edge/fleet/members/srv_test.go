package members

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// zone is a resolver of one name.
type zone struct {
	mu      sync.Mutex
	records []*net.SRV
	err     error
}

// set has the next look-ups end so.
func (z *zone) set(err error, records ...*net.SRV) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records, z.err = records, err
}

func (z *zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" || name != "edges.example" {
		return "", nil, errors.New("another name")
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return name, z.records, z.err
}

func TestSRVKeepsTheLastList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{err: errors.New("no answer")}
		var told atomic.Int64
		s := NewSRV("edges.example", z, func(error) { told.Add(1) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(ctx)
		}()
		expect := func(what string, want []string, notices int64) {
			t.Helper()
			synctest.Wait()
			if got := s.Members(); !slices.Equal(got, want) || told.Load() != notices {
				t.Errorf("%s: %v, told %d times; want %v and %d", what, got, told.Load(), want, notices)
			}
		}
		expect("before a look-up succeeds", nil, 1)
		z.set(nil, &net.SRV{Target: "B.example.", Port: 8443}, &net.SRV{Target: "a.example.", Port: 8443, Priority: 9}, &net.SRV{Target: "b.example.", Port: 8443}, &net.SRV{Target: "."})
		time.Sleep(every)
		both := []string{"a.example:8443", "b.example:8443"}
		expect("after one has", both, 2)
		z.set(errors.New("no answer"))
		time.Sleep(5 * every)
		expect("after others have failed", both, 3)
		z.set(nil)
		time.Sleep(every)
		expect("without a target", both, 3)
		z.set(nil, &net.SRV{Target: "c.example.", Port: 1})
		time.Sleep(every)
		expect("another list", []string{"c.example:1"}, 4)
		cancel()
		<-done
	})
}

func TestStatic(t *testing.T) {
	given := []string{"B:1", "a:1", "b:1"}
	if got := NewStatic(given).Members(); !slices.Equal(got, []string{"a:1", "b:1"}) || given[0] != "B:1" {
		t.Errorf("%v of %v", got, given)
	}
}
