package daemon

import (
	"fmt"
	"testing"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// Masters of a registry get the trace of the request that began a fetch, also for the list that a
// file is checked against, and nothing that only looks like one.
func TestATraceGoesToMasters(t *testing.T) {
	for sent, want := range map[string]string{traceparent: traceparent, "00-x": "", "": ""} {
		for _, path := range []string{aPackument, aTarball} {
			m := newWatched(t, "", "@s/words")
			c := newTestClient(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: %q, role: primary }] }]`, m.url), false)
			var fields []string
			if sent != "" {
				fields = []string{"Traceparent: " + sent, "Tracestate: a=b"}
			}
			c.want(c.read(path, fields...), 200)
			asked := 0
			for _, r := range m.all() {
				if r.header.Get("User-Agent") == "pkgedge (probe)" {
					continue
				}
				asked++
				if got := r.header.Get("Traceparent"); got != want || (r.header.Get("Tracestate") != "") != (want != "") {
					t.Errorf("%s with %q: the master is sent %q with %q for %s", path, sent, got, r.header.Get("Tracestate"), r.uri)
				}
			}
			if asked == 0 {
				t.Errorf("%s: the master was not asked", path)
			}
		}
	}
}
