package sibling

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"pkgedge/cache/purge"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

const (
	document     = "/edge-sample-words"
	scoped       = "/@edge-sample%2fcolour"
	smallTarball = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
)

// Clients of every edge at once make one fetch of each thing.
func TestOneFetchForAPlace(t *testing.T) {
	// A slow machine makes a fetcher ask a second master, too.
	p := newPlace(t, 3, settings{alone: true})
	large := p.AddLarge(t)
	small := origintest.Download(t, p.AURL+smallTarball)
	p.A.Forget()
	for _, tt := range []struct {
		path, at string
		want     []byte
		clients  int // of each edge
	}{
		{document, document, nil, 50},
		{scoped, "/@edge-sample/colour", nil, 50},
		{smallTarball, smallTarball, small, 50},
		{origintest.LargeTarball, origintest.LargeTarball, large, 5},
	} {
		crowd(t, p.edges, tt.clients, tt.path, tt.want)
		if n := p.fetches(tt.at); n != 1 {
			t.Errorf("%s: %d fetches by three edges", tt.path, n)
		}
	}
	if n := p.fetches("/large"); n != 1 {
		t.Errorf("the list of digests: %d fetches", n)
	}
	var asked, answered, served int64
	for _, e := range p.edges {
		s := e.client.Status()
		asked, answered, served = asked+s.Asked, answered+s.Answered, served+s.Served
		if s.FellBack() != 0 {
			t.Errorf("%+v", s)
		}
	}
	if asked == 0 || asked != answered || answered != served {
		t.Errorf("asked %d, answered %d, served %d", asked, answered, served)
	}
}

// An answer that another edge hands on is the master's: prepared, it is the same as that of an
// edge which has asked the master, and it is as old.
func TestAnAnswerOfASiblingIsTheMasters(t *testing.T) {
	p := newPlace(t, 2, settings{})
	owner, others := p.owner(document)
	crowd(t, []*edge{owner}, 1, document, nil)
	want, err := owner.get(t.Context(), document, http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	crowd(t, others, 1, document, want)
	stored := make(map[*edge]http.Header)
	for _, e := range p.edges {
		r := e.site.Route(http.MethodGet, document, "", http.Header{})
		u, _ := e.site.Upstream(r)
		x := e.cache.Explain(e.site.Query(u, r, http.Header{}))
		if x.Stored == nil {
			t.Fatal("not stored")
		}
		stored[e] = x.Stored.Header
		if x.Stored.From != p.URLs[0] && x.Stored.From != p.URLs[1] {
			t.Errorf("it is from %q", x.Stored.From)
		}
	}
	for name, values := range stored[owner] {
		if got := stored[others[0]][name]; !slices.Equal(got, values) {
			t.Errorf("%s is %q; the owner has %q", name, got, values)
		}
	}
	if len(stored[owner]) != len(stored[others[0]]) || stored[owner].Get("Etag") == "" {
		t.Errorf("fields %v; the owner has %v", stored[others[0]], stored[owner])
	}
}

// A wrong file of another edge is found out, and is taken from a master.
func TestAWrongFileOfASibling(t *testing.T) {
	for _, path := range []string{smallTarball, origintest.LargeTarball} {
		p := newPlace(t, 2, settings{})
		want := p.AddLarge(t)
		if path == smallTarball {
			want = origintest.Download(t, p.AURL+smallTarball)
			p.A.Forget()
		}
		owner, others := p.owner(path)
		owner.stand(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.EscapedPath() != root+"npm"+path {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			wrong := slices.Clone(want)
			wrong[len(wrong)-1] ^= 1
			w.Header().Set(fieldMaster, p.URLs[0])
			w.Header().Set(fieldAge, "0")
			w.Write(wrong)
		})
		crowd(t, others, 4, path, want)
		if n := p.fetches(path); n != 1 {
			t.Errorf("%s: %d fetches", path, n)
		}
		if s := others[0].client.Status(); s.Failed == 0 {
			t.Errorf("%s: no fault is counted: %+v", path, s)
		}
		for _, m := range others[0].site.Upstreams()[0].Status()[0].Masters {
			if m.State != "healthy" || m.Why != "" {
				t.Errorf("a master is blamed for it: %+v", m)
			}
		}
	}
}

// An owner that breaks off is completed by a master, from where it broke off.
func TestAnOwnerThatBreaksOff(t *testing.T) {
	p := newPlace(t, 2, settings{})
	want := p.AddLarge(t)
	owner, others := p.owner(origintest.LargeTarball)
	owner.stand(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != root+"npm"+origintest.LargeTarball {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set(fieldMaster, p.URLs[0])
		w.Header().Set(fieldAge, "0")
		w.Header().Set("Content-Length", strconv.Itoa(len(want)))
		w.Write(want[:1<<20])
		panic(http.ErrAbortHandler)
	})
	crowd(t, others, 3, origintest.LargeTarball, want)
	if n := p.fetches(origintest.LargeTarball); n != 1 {
		t.Errorf("%d fetches", n)
	}
	last := append(p.A.Requests(), p.B.Requests()...)
	if !slices.ContainsFunc(last, func(r faults.Record) bool { return r.Header.Get("Range") == "bytes=1048576-" }) {
		t.Error("the rest was not asked for")
	}
}

// An owner that has nothing asks the one that is next, which owned the thing before it joined, for a
// stored answer alone: that fetches nothing for it, and waits for nothing.
func TestAnOwnerAsksTheOneBeforeIt(t *testing.T) {
	p := newPlace(t, 3, settings{})
	owner, others := p.owner(document)
	crowd(t, []*edge{owner}, 1, document, nil)
	if n := p.fetches(document); n != 1 {
		t.Errorf("%d fetches", n)
	}
	for _, e := range append(others, owner) {
		if s := e.client.Status(); s.Asked+s.Refused+s.Failed+s.Served != 0 || s.Declined != int64(len(others)) { // their greetings
			t.Errorf("a question in vain counts: %+v", s)
		}
		if n := e.cache.Usage().MemoryObjects; e != owner && n != 0 {
			t.Errorf("an edge that was asked for a stored answer has %d", n)
		}
	}
	next := others[0]
	if next.address != owner.client.next(keyOf("npm", document), "") {
		next = others[1]
	}
	crowd(t, []*edge{next}, 1, document, nil)
	if err := owner.cache.Purge(purge.Purge{Scope: purge.Site, Site: "npm"}); err != nil {
		t.Fatal(err)
	}
	crowd(t, []*edge{owner}, 1, document, nil)
	if n := p.fetches(document); n != 2 {
		t.Errorf("%d fetches: a stored answer is from before the purge", n)
	}
}
