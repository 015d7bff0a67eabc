package daemon

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// Clients are told how long they may use metadata without asking: the part that is left,
// the operator's time, and never more than a master lets them.
func TestClientsAreToldHowLong(t *testing.T) {
	t.Parallel()
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

// expired has every answer of the masters arrive at the end of its lifetime, with more
// faults in place of those of before.
func (b *behind) expired(more ...faults.Fault) {
	for _, m := range b.masters {
		m.Mend()
		m.Break(faults.Any, append(more, faults.Set("Cache-Control", "public, max-age=300"), faults.Set("Age", "300"))...)
	}
}

// add publishes a version at the masters, past the edge.
func (b *behind) add(t *testing.T, name, number string) {
	t.Helper()
	if err := b.store.AddPackage(name, sample.Version{Number: number}); err != nil {
		t.Fatal(err)
	}
}

// Past its lifetime a document is validated before it is used: the first requests see a new
// version, and cost one request together.
func TestTheFirstRequestSeesANewVersion(t *testing.T) {
	const name, crowd = "edge-sample-words", 20
	for _, path := range []string{"/" + name, "/" + name + "/3.0.0", "/-/package/" + name + "/dist-tags"} {
		t.Run(path, func(t *testing.T) {
			s := newServed(t, "stale: { patience: 1m }")
			s.expired()
			s.get(t, "/"+name)
			s.add(t, name, "3.0.0")
			before := s.reads("/")
			gate := faults.NewGate()
			for _, m := range s.masters {
				m.Mend()
				m.Break(faults.Any, faults.Hold(gate), faults.Set("Cache-Control", "public, max-age=300"))
			}
			var all sync.WaitGroup
			for range crowd {
				all.Go(func() {
					resp, body, err := edgetest.GetText(t, s.client, s.url+path)
					if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(body, "3.0.0") {
						t.Errorf("%v: %v %.80q", err, resp, body)
					}
				})
			}
			edgetest.Until(t, "a request to a master", func() bool { return s.reads("/") > before })
			gate.Open()
			all.Wait()
			if n := s.reads("/") - before; n != 1 {
				t.Errorf("%d requests reached the masters", n)
			}
		})
	}
}

// A client waits for patience, and no longer. Nobody waits with no patience, in an outage,
// and for the list of a file's digests.
func TestPatienceWithSlowMasters(t *testing.T) {
	const path = "/edge-sample-words"
	for name, tt := range map[string]struct{ keys, want string }{
		"patience":    {"stale: { patience: 1ms }", "fwd=stale"},
		"no patience": {"stale: { patience: 0s }", "hit"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServed(t, tt.keys)
			s.expired()
			s.get(t, path)
			s.add(t, "edge-sample-words", "3.0.0")
			gate := faults.NewGate()
			s.expired(faults.Hold(gate))
			resp, body := s.get(t, path)
			if told := resp.Header.Get("Cache-Status"); strings.Contains(body, "3.0.0") || !strings.Contains(told, "edge; "+tt.want) || !strings.Contains(told, "detail=stale") || strings.Contains(told, "error") {
				t.Errorf("while the masters are slow: %s", told)
			}
			gate.Open()
			s.edge.settle(t)
			if _, body = s.get(t, path); !strings.Contains(body, "3.0.0") {
				t.Error("the validation did not go on")
			}
		})
	}
	t.Run("an outage", func(t *testing.T) {
		s := newServed(t, "stale: { patience: 1h, if_error: 0s }")
		s.expired()
		s.get(t, path)
		own := s.edge.serving().Sites[0].Upstreams()[0]
		for _, master := range []string{"0", "1"} {
			if err := own.Drain(master, true); err != nil {
				t.Fatal(err)
			}
		}
		edgetest.Until(t, "an outage", func() bool { return own.Outage(kind.Metadata, time.Now()) > 0 })
		resp, _ := s.get(t, path)
		if told := resp.Header.Get("Cache-Status"); resp.StatusCode != http.StatusOK || !strings.Contains(told, "edge; hit") {
			t.Errorf("%d %s", resp.StatusCode, told)
		}
	})
	t.Run("masters that fail", func(t *testing.T) {
		s := newServed(t, "stale: { patience: 1h, if_error: 0s }")
		s.expired()
		s.get(t, path)
		s.expired(faults.Status(503))
		for range 3 {
			resp, _ := s.get(t, path)
			if told := resp.Header.Get("Cache-Status"); resp.StatusCode != http.StatusOK || !strings.Contains(told, "detail=stale-error") {
				t.Errorf("%d %s", resp.StatusCode, told)
			}
		}
	})
}

// A new release is in the index of a tree for the first request after its lifetime.
func TestTheFirstRequestSeesANewRelease(t *testing.T) {
	s, a, b := newDist(t)
	for _, tr := range []*tree{a, b} {
		tr.mu.Lock()
		tr.fields = map[string]string{"Cache-Control": "public, max-age=60", "Age": "60"}
		tr.mu.Unlock()
	}
	s.get(t, "/latest/x")
	for _, tr := range []*tree{a, b} {
		tr.put("/latest/x", "new")
	}
	s.edge.settle(t)
	if resp, body := s.get(t, "/latest/x"); body != "new" {
		t.Errorf("%d %q, %s", resp.StatusCode, body, resp.Header.Get("Cache-Status"))
	}
}

// Publish anywhere, then install at once through the edge, with the real npm and its own
// cache, which has the package already.
func TestPublishThenInstall(t *testing.T) {
	t.Parallel()
	const name = "edge-sample-words"
	const clients = "fresh: { clients: 0s }"
	install := func(user *npm, number string) {
		t.Helper()
		user.must(t, project(t, fmt.Sprintf(`{"name":"app","dependencies":{%q:%q}}`, name, number)), "install")
	}
	t.Run("through the edge", func(t *testing.T) {
		s := newServed(t, clients)
		reader, writer := newNPM(t, s.url), newNPM(t, s.url)
		writer.token(t, s.store.Grant("alice"))
		for _, number := range []string{"3.0.0", "3.0.1"} {
			install(reader, "1.0.0")
			writer.must(t, project(t, fmt.Sprintf(`{"name":%q,"version":%q}`, name, number)), "publish")
			install(reader, number)
		}
	})
	t.Run("with a feed", func(t *testing.T) {
		s := newInformed(t, feed.Couch, "public, max-age=36000", clients)
		reader := newNPM(t, s.url)
		install(reader, "1.0.0")
		s.publish(t, name, "3.0.0")
		install(reader, "3.0.0")
	})
	t.Run("with neither, after the lifetime", func(t *testing.T) {
		s := newServed(t, "") // clients are told the part of it that is left, which is none
		s.expired()
		reader := newNPM(t, s.url)
		install(reader, "1.0.0")
		s.add(t, name, "3.0.0")
		install(reader, "3.0.0")
	})
}
