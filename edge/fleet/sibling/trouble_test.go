package sibling

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/members"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
)

// An owner that dies in the middle of a file costs one more fetch, and no client anything.
func TestOwnerKilledMidStream(t *testing.T) {
	p := newPlace(t, 3, settings{})
	want := p.AddLarge(t)
	owner, others := p.owner(origintest.LargeTarball)
	gate := faults.NewGate()
	p.A.BreakNext(1, faults.Suffix(".tgz"), faults.Drip(gate, 1<<20))
	p.B.BreakNext(1, faults.Suffix(".tgz"), faults.Drip(gate, 1<<20))
	var clients sync.WaitGroup
	clients.Go(func() { crowd(t, others, 3, origintest.LargeTarball, want) })
	edgetest.Until(t, "the owner's fetch", func() bool { return p.fetches(origintest.LargeTarball) == 1 && owner.cache.Usage().Flights > 0 })
	gate.Step(1)
	owner.server.Listener.Close()
	owner.stand(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	owner.server.CloseClientConnections()
	gate.Open()
	clients.Wait()
	if n := p.fetches(origintest.LargeTarball); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// An owner that accepts and says nothing is given up, and is the owner of nothing for a while.
func TestBlackHoledOwner(t *testing.T) {
	p := newPlace(t, 3, settings{silence: 400 * time.Millisecond})
	owner, others := p.owner(document)
	release := make(chan struct{})
	defer close(release)
	owner.stand(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	other := others[0]
	crowd(t, []*edge{other}, 1, document, nil)
	if s := other.client.Status(); s.Failed != 1 || p.fetches(document) != 1 {
		t.Errorf("%+v, %d fetches", s, p.fetches(document))
	}
	for i := 0; other.client.Owner("npm", document) == owner.address; i++ {
		if i > 50 {
			t.Fatal("it stays an owner")
		}
		_, _ = other.get(t.Context(), fmt.Sprintf("/no-package-%d", i), http.Header{}) // it may be another's
	}
}

// A sibling that is at work for long says so, and is waited for.
func TestOwnerAtWorkIsWaitedFor(t *testing.T) {
	p := newPlace(t, 2, settings{silence: 600 * time.Millisecond})
	owner, others := p.owner(document)
	owner.listener.beat = 5 * time.Millisecond
	beats := make(chan struct{}, 64)
	owner.stand(func(w http.ResponseWriter, r *http.Request) { owner.listener.ServeHTTP(beating{w, beats}, r) })
	gate := faults.NewGate()
	p.A.Break(faults.Path(document), faults.Hold(gate))
	p.B.Break(faults.Path(document), faults.Hold(gate))
	done := make(chan struct{})
	go func() {
		defer close(done)
		crowd(t, others, 5, document, nil)
	}()
	for begun := time.Now(); time.Since(begun) < 700*time.Millisecond; { // of which each gives patience anew
		<-beats
	}
	gate.Open()
	<-done
	if n := p.fetches(document); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// beating tells of interim responses.
type beating struct {
	http.ResponseWriter
	beats chan struct{}
}

func (b beating) WriteHeader(status int) {
	if status == http.StatusEarlyHints {
		select {
		case b.beats <- struct{}{}:
		default:
		}
	}
	b.ResponseWriter.WriteHeader(status)
}

func (b beating) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// Edges that have different lists, or do not know themselves, never wait in a circle.
func TestDifferentListsDoNotDeadlock(t *testing.T) {
	for name, list := range map[string]func(all []string, i int) members.Static{
		"each asks the next one":  func(all []string, i int) members.Static { return members.NewStatic([]string{all[(i+1)%len(all)]}) },
		"each lacks another one":  func(all []string, i int) members.Static { return without(all, (i+1)%len(all)) },
		"nobody knows of himself": func(all []string, i int) members.Static { return without(all, i) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, 3, settings{lists: list})
			small := origintest.Download(t, p.AURL+smallTarball)
			p.A.Forget()
			crowd(t, p.edges, 10, document, nil)
			crowd(t, p.edges, 10, smallTarball, small)
			if n := p.fetches(smallTarball); n < 1 || n > 3 {
				t.Errorf("%d fetches by three edges", n)
			}
		})
	}
}

func without(all []string, i int) members.Static {
	return members.NewStatic(slices.Delete(slices.Clone(all), i, i+1))
}

// A stranger on the internal port learns nothing, and nothing is fetched.
func TestStranger(t *testing.T) {
	p := newPlace(t, 1, settings{})
	for _, token := range []string{"", "Bearer ", "Bearer another", secret, "Bearer " + secret + "x", "bearer " + secret} {
		for _, path := range []string{root + "npm" + document, root + "npm" + smallTarball, root, "/", "/status"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.edges[0].server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				req.Header.Set("Authorization", token)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized || resp.ContentLength > 0 {
				t.Errorf("%q with %q: answered %d", path, token, resp.StatusCode)
			}
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if n := len(p.A.Requests()) + len(p.B.Requests()); n > 0 {
		t.Errorf("%d requests came to masters", n)
	}
	if s := p.edges[0].client.Status(); s.Strangers != 30 || s.Served != 0 {
		t.Errorf("%+v", s)
	}
	token := new(Token)
	if token.admits(http.Header{"Authorization": {"Bearer "}}) {
		t.Error("no token admits a stranger")
	}
}

// Private things are asked of no sibling, and given to none.
func TestPrivateIsNotShared(t *testing.T) {
	private := origintest.NewTwo(t)
	p := newPlace(t, 2, settings{extra: fmt.Sprintf("    authorized: cache\n    scopes: { \"@edge-sample\": { masters: [ { url: %q, role: primary } ] } }\n", private.AURL)})
	var asked sync.Map
	for _, e := range p.edges {
		e.stand(func(w http.ResponseWriter, r *http.Request) {
			asked.Store(r.URL.Path, true)
			w.WriteHeader(http.StatusNotFound)
		})
	}
	crowd(t, p.edges, 1, scoped, nil)
	for _, e := range p.edges {
		if _, err := e.get(t.Context(), document, http.Header{"Authorization": {"Bearer somebody"}}); err != nil {
			t.Error(err)
		}
	}
	asked.Range(func(path, _ any) bool {
		t.Errorf("a sibling was asked for %s", path)
		return true
	})
	for _, e := range p.edges {
		e.before.Store(nil)
		for _, path := range []string{scoped, "/-/whoami", "/-/v1/search", "/edge-sample-words/-rev/1"} {
			if status, why := e.ask(t, "npm", path, nil); status != http.StatusNotFound || why != whyUnknown {
				t.Errorf("a sibling that asks for %s: %d %s", path, status, why)
			}
		}
		if status, why := e.ask(t, "other", document, nil); status != http.StatusNotFound || why != whyUnknown {
			t.Errorf("another site: %d %s", status, why)
		}
	}
}

// ask asks an edge as a sibling does.
func (e *edge) ask(t *testing.T, site, path string, more http.Header) (status int, why string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.server.URL+root+site+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	for name, values := range more {
		req.Header[name] = values
	}
	resp, err := e.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get(fieldWhy)
}

// A purge at one edge is in force there at once, though the owner has not heard of it.
func TestPurgedIsGoneAtTheSiblingToo(t *testing.T) {
	// A slow machine makes a fetcher ask a second master, too.
	p := newPlace(t, 2, settings{alone: true})
	file := origintest.Download(t, p.AURL+smallTarball)
	p.A.Forget()
	owner, others := p.owner(smallTarball)
	other := others[0]
	crowd(t, p.edges, 1, smallTarball, file)
	if n := p.fetches(smallTarball); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	if err := other.cache.Purge(purge.Purge{Scope: purge.Group, Site: "npm", Name: "edge-sample-words"}); err != nil {
		t.Fatal(err)
	}
	crowd(t, others, 1, smallTarball, file)
	if s := other.client.Status(); p.fetches(smallTarball) != 2 || s.Refused == 0 {
		t.Errorf("after a purge at one edge: %d fetches; %+v", p.fetches(smallTarball), s)
	}
	// Once the owner has it, it fetches anew, and both have the new one.
	purged := purge.Purge{Scope: purge.Group, Site: "npm", Name: "edge-sample-words"}
	for _, e := range []*edge{owner, other} {
		if err := e.cache.Purge(purged); err != nil {
			t.Fatal(err)
		}
	}
	settle(t)
	refused := other.client.Status().Refused
	crowd(t, p.edges, 3, smallTarball, file)
	// Where a request takes longer than that from edge to edge, the owner's is refused.
	refused = other.client.Status().Refused - refused
	if n := p.fetches(smallTarball); n != 3 && n != 3+int(refused) {
		t.Errorf("after a purge at both: %d fetches, %d refused", n, refused)
	}
}

// settle waits for longer than a request takes from edge to edge: an owner's fetch that begins
// sooner after a purge may have begun before it, for all that it knows.
func settle(t *testing.T) {
	t.Helper()
	begun := time.Now()
	edgetest.Until(t, "the end of a moment", func() bool { return time.Since(begun) > 50*time.Millisecond })
}

// A validation is one for all edges as well: the owner asks the master, the others the owner.
func TestOneValidationForAPlace(t *testing.T) {
	p := newPlace(t, 3, settings{alone: true}) // two masters may have two validators
	crowd(t, p.edges, 1, document, nil)
	if n := p.fetches(document); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	stale := purge.Purge{Scope: purge.GroupMetadata, Site: "npm", Name: strings.TrimPrefix(document, "/"), Soft: true}
	for _, e := range p.edges {
		if err := e.cache.Purge(stale); err != nil {
			t.Fatal(err)
		}
	}
	settle(t)
	before := make([]int64, len(p.edges))
	for i, e := range p.edges {
		before[i] = e.client.Status().Bytes
	}
	crowd(t, p.edges, 10, document, nil)
	if n := p.fetches(document); n != 2 {
		t.Errorf("%d fetches after one validation", n)
	}
	all := append(p.A.Requests(), p.B.Requests()...)
	if n := len(slices.DeleteFunc(all, func(r faults.Record) bool { return r.Header.Get("If-None-Match") == "" })); n != 1 {
		t.Errorf("%d requests had a validator", n)
	}
	for i, e := range p.edges {
		if s := e.client.Status(); s.Bytes != before[i] {
			t.Errorf("a sibling that has it was sent %d bytes", s.Bytes-before[i])
		}
	}
}

// An edge that waits for another one says so, instead of having a third one wait for it.
func TestOneHop(t *testing.T) {
	p := newPlace(t, 2, settings{})
	owner, others := p.owner(document)
	others[0].client.peers.self = ""
	release := make(chan struct{})
	owner.stand(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		<-release
		w.WriteHeader(http.StatusNotFound)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		crowd(t, others, 1, document, nil)
	}()
	edgetest.Until(t, "the edge that waits", func() bool { return others[0].client.asking.has(keyOf("npm", document)) })
	if status, why := others[0].ask(t, "npm", document, nil); status != http.StatusConflict || why != whyWaiting {
		t.Errorf("a third edge: %d %s", status, why)
	}
	close(release)
	<-done
	// On behalf of another edge no sibling is asked.
	owner.before.Store(nil)
	before := others[0].client.Status().Asked
	if status, _ := others[0].ask(t, "npm", scoped, nil); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
	if n := others[0].client.Status().Asked - before; n != 0 {
		t.Errorf("it asked %d others", n)
	}
}

func TestPeers(t *testing.T) {
	var p peers
	now := time.Unix(1e9, 0)
	if _, ejected := p.failed("a", false, now); ejected || !p.usable("a", now) {
		t.Error("out after one failure")
	}
	p.answered("a", now.Add(1), now.Add(-aMoment))
	p.failed("a", false, now)
	if out, ejected := p.failed("a", false, now); !ejected || out != shortBackoff || p.usable("a", now) {
		t.Errorf("two failures: out for %v", out)
	}
	if _, ejected := p.failed("a", false, now); ejected {
		t.Error("a request that was under way counts")
	}
	now = now.Add(shortBackoff)
	if !p.begin("a", now) || !p.usable("b", now) {
		t.Error("not tried again")
	}
	if p.begin("a", now) || p.usable("a", now) {
		t.Error("tried twice at once")
	}
	if out, again := p.failed("a", false, now); again || out != 2*shortBackoff || p.usable("a", now.Add(out-1)) || !p.usable("a", now.Add(out)) {
		t.Errorf("out for %v after a trial", out)
	}
	now = now.Add(2 * shortBackoff)
	p.begin("a", now)
	if p.answered("a", now.Add(-time.Minute), now); p.state("a") != "out" {
		t.Error("an answer to a request from before its failures brings it back")
	}
	p.answered("a", now.Add(1), now)
	if p.patience("a", 10, now) != 10*busyTimes || p.patience("a", 10, now.Add(aMoment)) != 10 || p.patience("b", 10, now) != 10 {
		t.Error("a busy one is given no more time than a dead one")
	}
	for range 3 * inARow {
		if _, ejected := p.failed("a", true, now.Add(aMoment-1)); ejected {
			t.Error("one that was heard a moment ago is out for its silence")
		}
	}
	p.failed("a", true, now.Add(aMoment))
	if _, ejected := p.failed("a", true, now.Add(aMoment)); !ejected {
		t.Error("a silent one stays")
	}
	p.answered("a", now.Add(2*aMoment), now)
	if !p.usable("a", now) {
		t.Error("one that answers is still out")
	}
	p.isSelf("me")
	if p.own() != "me" || p.state("me") != "self" {
		t.Error("this edge does not know itself")
	}
	for i := range 2 * maxPeers {
		p.failed(strconv.Itoa(i), false, now)
	}
	if len(p.of) > maxPeers {
		t.Errorf("%d members are remembered", len(p.of))
	}
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := newPatience(time.Second, cancel)
		time.Sleep(900 * time.Millisecond)
		p.heard()
		time.Sleep(900 * time.Millisecond)
		if ctx.Err() != nil {
			t.Error("one that was heard is given up")
		}
		p.mu.Lock()
		p.due = p.due.Add(-time.Second) // as if the timer were late
		p.mu.Unlock()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("a late timer is believed")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if context.Cause(ctx) != errSilent || p.stop() {
			t.Errorf("a silence ends with %v", context.Cause(ctx))
		}
	})
}

func TestAges(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "1500": 1500, "": -1, "-1": -1, "x": -1, "99999999999999999999": -1} {
		if got, ok := parseAge(text); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	if got := formatAge(-time.Second); got != "0" {
		t.Errorf("an age below zero is %q", got)
	}
}
