package daemon

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pkgedge/edge/admin"
	"pkgedge/edge/operator"
	"pkgedge/origin/sample"
)

// An operator asks why a client got an answer, without a request that changes it.
func TestWhy(t *testing.T) {
	b := newBehindTwoOn(t, "", true)
	const file = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
	b.want(b.read("/edge-sample-words"), 200)
	b.want(b.read(file), 200)
	b.edge.settle(t)
	e := operator.Explainer{Sites: b.edge.sites}
	requests := func() int { return len(b.masters[0].Requests()) + len(b.masters[1].Requests()) }
	asked := requests()
	for _, tt := range []struct {
		q           admin.Question
		status      int // of the stored response; 0 for none
		now, outage string
	}{
		{admin.Question{Package: "edge-sample-words"}, 200, "after a master says that it still holds: stale since ", "as it is stored, stale"},
		{admin.Question{URL: file}, 200, "at once: fresh for ", "at once as well"},
		{admin.Question{URL: "http://elsewhere.example" + file, Site: "npm"}, 200, "at once: fresh for ", "at once as well"},
		{admin.Question{Package: "@edge-sample/colour", Site: "npm"}, 0, "by a fetch: nothing is stored", "with an error"},
	} {
		all, err := e.Explain(t.Context(), tt.q)
		if err != nil || len(all) != 1 || all[0].Site != "npm" {
			t.Fatalf("%+v: %+v, %v", tt.q, all, err)
		}
		w := all[0]
		if !strings.HasPrefix(w.Now, tt.now) || !strings.HasPrefix(w.Outage, tt.outage) || w.Stored == nil != (tt.status == 0) {
			t.Errorf("%+v: %+v", tt.q, w)
		}
		if w.Stored == nil {
			continue
		}
		fromOne := slices.ContainsFunc(b.servers, func(s *sample.Server) bool { return s.URL() == w.Stored.Master })
		if w.Stored.Status != tt.status || !fromOne || !slices.Contains(w.Stored.Tiers, "disk") || len(w.Stored.Variants) == 0 {
			t.Errorf("%+v: %+v", tt.q, w.Stored)
		}
		if file := w.What == "tarball"; file != strings.HasPrefix(w.Digest, "sha512 ") {
			t.Errorf("%+v: digest %q", tt.q, w.Digest)
		}
	}
	if n := requests(); n != asked {
		t.Errorf("masters were asked %d times", n-asked)
	}
	for q, want := range map[admin.Question]error{
		{Package: "a", Site: "nowhere"}: admin.ErrUnknownSite,
		{Package: "../a"}:               admin.ErrUnknownName,
		{URL: "/-/ping"}:                admin.ErrUnknownName,
	} {
		if all, err := e.Explain(t.Context(), q); !errors.Is(err, want) {
			t.Errorf("%+v: %+v, %v", q, all, err)
		}
	}
	if status, text := b.operator("GET", "/why?package=edge-sample-words"); status != 200 || !strings.Contains(text, `"what": "packument"`) {
		t.Errorf("the API: %d %s", status, text)
	}
}
