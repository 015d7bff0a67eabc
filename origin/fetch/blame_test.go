package fetch

import (
	"context"
	"net/http"
	"syscall"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample/faults"
)

// Failures that are ours, our clients', or of one document at all masters are held
// against no master, however often they are met in a row.
func TestFailuresThatAreNoMastersFault(t *testing.T) {
	const many = 12 // requests, far more than put a master out
	for _, tt := range []struct {
		name  string
		path  string
		fault []faults.Fault
		ask   func(b *behind, sink *origintest.Recorder) error
		opts  []option
	}{
		{name: "the disk is full", path: aTarball, ask: func(b *behind, sink *origintest.Recorder) error {
			sink.Refuse = syscall.ENOSPC
			return b.Fetch(context.Background(), pool.Request{Route: b.route(aTarball)}, sink)
		}},
		{name: "the disk is full, for metadata", path: aPackument, ask: func(b *behind, sink *origintest.Recorder) error {
			sink.Refuse = syscall.ENOSPC
			return b.Fetch(context.Background(), pool.Request{Route: b.route(aPackument)}, sink)
		}},
		{name: "the document is too large for us", path: aPackument, opts: []option{maxMetadata(100)}},
		{name: "too many requests", path: aPackument, fault: []faults.Fault{faults.Status(http.StatusTooManyRequests)}},
		{name: "a loop", path: aPackument, fault: []faults.Fault{faults.Status(http.StatusLoopDetected)}},
		{name: "a refusal", path: aPackument, fault: []faults.Fault{faults.Status(http.StatusBadRequest)}},
		{name: "nothing", path: aPackument, fault: []faults.Fault{faults.Status(http.StatusNoContent)}},
		{name: "a redirect that we do not follow", path: aTarball, fault: []faults.Fault{faults.Redirect("http://10.0.0.1/x")}},
		{name: "a file that is broken everywhere", path: aTarball, fault: []faults.Fault{faults.FlipByte(-1)}},
		{name: "a page in place of a file that nothing lists", path: "/n/-/n-1.0.0.tgz", fault: []faults.Fault{faults.HTML()}},
		{name: "a client that leaves", path: aPackument, fault: []faults.Fault{faults.HangAfter(100)}, ask: func(b *behind, sink *origintest.Recorder) error {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			return b.Fetch(ctx, pool.Request{Route: b.route(aPackument)}, sink)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			list, err := newBehind(t, w.URLs).get(t, aPackument)
			if err != nil {
				t.Fatal(err)
			}
			b := newBehind(t, w.URLs, append(tt.opts, listedBy(func(bool) ([]byte, error) { return list.Find(t, kind.Summary, ""), nil }))...)
			for _, m := range []*faults.Master{w.A, w.B} {
				if tt.fault != nil {
					m.Break(faults.Path(tt.path), tt.fault...)
				}
			}
			for range many {
				if sink := (&origintest.Recorder{}); tt.ask != nil {
					err = tt.ask(b, sink)
				} else {
					_, err = b.get(t, tt.path)
				}
				if err == nil && tt.name != "a refusal" {
					t.Fatal("it did not fail")
				}
			}
			b.settle(t)
			for _, m := range b.masters.Status().Masters {
				if m.State != "healthy" {
					t.Errorf("%s is %s: %s; reports %q", m.URL, m.State, m.Why, b.reported())
				}
			}
		})
	}
}
