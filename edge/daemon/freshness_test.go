package daemon

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample/faults"
)

// Clients are told how long they may use metadata without asking: the part that is left,
// the operator's time, and never more than a master lets them.
func TestClientsAreToldHowLong(t *testing.T) {
	const packument, missing, tarball = "/edge-sample-app", "/no-such-package", "/edge-sample-app/-/edge-sample-app-1.0.0.tgz"
	const whole = "public, max-age<31557600, immutable"
	// A master's Age is 100 s. Of a "<" the seconds go off in which the test runs.
	for _, tt := range []struct{ keys, path, says, want string }{
		{"", packument, "public, max-age=300", "public, max-age<200"},
		{"", packument, "public, max-age=60", "public, max-age=0"},
		{"", packument, "no-cache", "public, max-age=0, no-cache"},
		{"", packument, "no-cache, max-age=300", "public, max-age=0, no-cache"},
		{"", packument, "no-store", "no-store"},
		{"", packument, "private, max-age=300", "private, max-age<200"},
		{"", packument, "max-age=20, s-maxage=300", "public, max-age=20"},
		{"", packument, "max-age=0, s-maxage=300", "public, max-age=0"},
		{"", packument, "max-age=300, no-transform", "public, max-age<200, no-transform"},
		{"", tarball, "no-cache, max-age=300", "public, max-age=0, no-cache"},
		{"fresh: { metadata: 1h, override: true }", packument, "no-cache", "public, max-age<3600"},
		{"fresh: { clients: 0s }", packument, "public, max-age=300", "public, max-age=0, no-cache"},
		{"fresh: { clients: 0s }", packument + "/1.0.0", "public, max-age=300", "public, max-age=0, no-cache"},
		{"fresh: { clients: 0s }", "/-/package/edge-sample-app/dist-tags", "public, max-age=300", "public, max-age=0, no-cache"},
		{"fresh: { clients: 0s }", packument, "no-store", "no-store"},
		{"fresh: { clients: 0s }", packument, "max-age=300, s-maxage=600", "public, max-age=0, no-cache"},
		{"fresh: { clients: 0s }", missing, "public, max-age=300", "public, max-age=0, no-cache"},
		{"fresh: { clients: 0s }", tarball, "public, immutable, max-age=31557700", whole},
		{"fresh: { clients: 1m }", packument, "public, max-age=300", "public, max-age=60"},
		{"fresh: { clients: 1h }", packument, "public, max-age=300", "public, max-age=3600"},
		{"fresh: { clients: 1h }", packument, "max-age=20, s-maxage=300", "public, max-age=3600"},
		{"fresh: { clients: 1h }", packument, "no-cache, max-age=300", "public, max-age=0, no-cache"},
		{"fresh: { clients: 1h }", packument, "public, max-age=60", "public, max-age=0"},
		{"fresh: { clients: 1h }", missing, "public, max-age=180", "public, max-age<10"},
		{"fresh: { clients: 1m }", tarball, "public, immutable, max-age=31557700", whole},
	} {
		t.Run(tt.keys+tt.path+" "+tt.says, func(t *testing.T) {
			s := newServed(t, tt.keys)
			for _, m := range s.masters {
				m.Break(faults.Any, faults.Set("Cache-Control", tt.says), faults.Set("Age", "100"), faults.Set("Date", ""),
					faults.Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"), faults.Set("Surrogate-Control", "max-age=9"))
			}
			resp, _ := s.get(t, tt.path)
			if got := resp.Header.Get("Cache-Control"); !saysLifetime(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			again, _ := s.get(t, tt.path, "If-None-Match", resp.Header.Get("Etag"))
			if resp.StatusCode == http.StatusOK && again.StatusCode != http.StatusNotModified {
				t.Errorf("%d with its ETag", again.StatusCode)
			}
			if got := again.Header.Get("Cache-Control"); !saysLifetime(got, tt.want) {
				t.Errorf("with a 304: %q", got)
			}
			for _, name := range []string{"Expires", "Pragma", "Surrogate-Control", "Cdn-Cache-Control"} {
				if resp.Header.Get(name)+again.Header.Get(name) != "" {
					t.Errorf("clients are told %s", name)
				}
			}
		})
	}
}

// saysLifetime reports whether a Cache-Control is as wanted, in which a < stands before a number
// that the time since the response lessens.
func saysLifetime(got, want string) bool {
	before, number, ok := strings.Cut(want, "<")
	if !ok {
		return got == want
	}
	number, after, _ := strings.Cut(number, ",")
	most, err1 := strconv.Atoi(number)
	middle, found := strings.CutPrefix(got, before+"=")
	middle, end, _ := strings.Cut(middle, ",")
	n, err2 := strconv.Atoi(middle)
	return found && err1 == nil && err2 == nil && end == after && n <= most && n >= most-int(edgetest.Patience/time.Second)
}

// A targeted field is for the edge. Clients are told Cache-Control, and a cache in front
// of the edge is too.
func TestATargetedFieldIsNotForClients(t *testing.T) {
	s := newServed(t, "")
	for _, m := range s.masters {
		m.Break(faults.Any, faults.Set("Cache-Control", "max-age=20"), faults.Set("Cdn-Cache-Control", "max-age=3600"))
	}
	for _, outcome := range []string{"miss", "hit"} {
		resp, _ := s.get(t, "/edge-sample-app")
		if got := resp.Header.Get("Cache-Control"); got != "public, max-age=20" || resp.Header.Get("Cdn-Cache-Control") != "" {
			t.Errorf("a %s: %q, and CDN-Cache-Control %q", outcome, got, resp.Header.Get("Cdn-Cache-Control"))
		}
	}
}
