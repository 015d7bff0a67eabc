package pool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/transport"
)

// A master that answers only after many redirects is given up like one that does
// not answer.
func TestRedirectsDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poolOf("p", func(c *Config) {
			c.Timeouts = transport.Timeouts{Connect: 2 * time.Second, FirstByte: 10 * time.Second, Idle: 20 * time.Second}
		})
		m := p.Primary()
		m.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(9 * time.Second):
				return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/next"}}, Body: http.NoBody, Request: r}, nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		begun := time.Now()
		p.occupy(t, m, health.ForMetadata, 1)
		r := p.send(t.Context(), m, &Request{Route: kind.Route{Class: kind.Metadata, Endpoint: "packument", Path: "/x"}}, false)
		if took := time.Since(begun); took != 14*time.Second || health.Word(r.err) != "timeout" {
			t.Errorf("%v after %s; want a timeout after 14s", r.err, took)
		}
		r.close()
		if got := p.Status().Masters[0]; got.InFlight != 0 || got.State != "suspect" {
			t.Errorf("%+v", got)
		}
		begun = time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := p.Send(ctx, cancel, m, &Request{Route: kind.Route{Class: kind.File, Path: "/list.sig"}})
		if took := time.Since(begun); took != 14*time.Second || health.Word(err) != "timeout" {
			t.Errorf("a companion: %v after %s", err, took)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// When masters fail, one that has gone out is not asked as much as before. The first try
// at one that has not is free.
func TestRetriesHaveABudget(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	b.retries.perSecond = 0
	w.A.Break(faults.Any, faults.Status(503))
	w.B.Break(faults.Any, faults.Status(503))
	const requests = 100
	for i := range requests {
		_, err := b.get(t, fmt.Sprintf("/edge-sample-%d", i))
		isUnavailable(t, err)
	}
	most := requests + inARow + int(b.retries.most) + requests/10
	if n := w.A.Count(faults.Any) + w.B.Count(faults.Any); n > most || n <= requests {
		t.Errorf("%d requests at the masters for %d; want more than that, and at most %d", n, requests, most)
	}
}

func TestHangingMasterIsLeftAlone(t *testing.T) {
	short := origintest.Patient()
	short.FirstByte = 250 * time.Millisecond
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs, short)
	w.A.Break(faults.Any, faults.Hang())
	for range 2 * inARow {
		if _, err := b.get(t, aTarball); err != nil {
			t.Fatal(err)
		}
	}
	b.settle(t)
	if n := w.A.Count(faults.Suffix(".tgz")); n != 1 {
		t.Errorf("it was asked %d times while another was well; want 1", n)
	}
}

// A request may end while another master is still being asked for it.
func TestRoundEndsWithItsClient(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	b.usual()
	w.A.Break(faults.Any, faults.Hang())
	w.B.Break(faults.Any, faults.Hang())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Each(ctx, Request{Route: b.route(aPackument)}, new(answer).use) }()
	<-w.B.Arrived(faults.Any)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	b.settle(t)
	for _, m := range b.Status().Masters {
		if m.State != "healthy" || m.InFlight != 0 {
			t.Errorf("%+v", m)
		}
	}
}
