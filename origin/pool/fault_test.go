package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// masterFaults are the ways in which one master goes wrong. The rest answers in usual.
var masterFaults = map[string]func(r *http.Request) (*http.Response, error){
	"hung": func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	},
	"hung after the fields": func(r *http.Request) (*http.Response, error) { return response(r, 200, hungBody(r)), nil },
	"hung in the body": func(r *http.Request) (*http.Response, error) {
		return response(r, 200, io.MultiReader(bytes.NewReader(right[:3]), hungBody(r))), nil
	},
	"refused": func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED },
	"cut":     func(*http.Request) (*http.Response, error) { return nil, io.EOF },
	"cut in the body": func(r *http.Request) (*http.Response, error) {
		return response(r, 200, io.MultiReader(bytes.NewReader(right[:3]), &cutBody{})), nil
	},
	"lying": func(r *http.Request) (*http.Response, error) {
		return response(r, 200, bytes.NewReader(right[1:])), nil
	},
	"failing":    func(r *http.Request) (*http.Response, error) { return response(r, 500, bytes.NewReader(nil)), nil },
	"overloaded": func(r *http.Request) (*http.Response, error) { return response(r, 429, bytes.NewReader(nil)), nil },
}

var right = []byte("right")

const usual = 5 * time.Millisecond // for an answer

func response(r *http.Request, status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, ContentLength: int64(len(right)), Body: io.NopCloser(body), Request: r}
}

func hungBody(r *http.Request) io.Reader {
	return readFunc(func([]byte) (int, error) {
		<-r.Context().Done()
		return 0, context.Cause(r.Context())
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

type cutBody struct{}

func (*cutBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// useRight accepts nothing but the right bytes, and releases nothing before.
func useRight(_ context.Context, _ *health.Master, r *http.Response) (Verdict, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil && !bytes.Equal(body, right) {
		err = &health.Blame{Word: "digest", Did: "answered with a wrong file", Err: errors.New("wrong")}
	}
	if err != nil {
		return Next, err
	}
	return Accepted, nil
}

// One master in trouble among healthy ones costs no client an error, and none of them
// more than one wait for a first byte. When that is over, nobody waits any more.
func TestOneMasterInTroubleCostsNothing(t *testing.T) {
	const firstByte = 10 * time.Second
	for fault, serve := range masterFaults {
		for _, route := range []kind.Route{
			{Class: kind.Metadata, Endpoint: "packument", Path: "/n"},
			{Class: kind.Metadata, Endpoint: "version", Path: "/n/1.0.0"},
			{Class: kind.File, Endpoint: "tarball", Path: "/n/-/n-1.0.0.tgz"},
		} {
			for _, roles := range []string{"pr", "prr"} {
				for ill := range roles {
					t.Run(fmt.Sprintf("%s/%s/%d of %d", fault, route.Endpoint, ill, len(roles)), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							p := poolOf(roles, func(c *Config) {
								c.Random = nil
								c.Timeouts = transport.Timeouts{FirstByte: firstByte, Idle: 2 * firstByte}
							})
							for i, m := range p.Masters() {
								m.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
									if i == ill {
										return serve(r)
									}
									<-time.After(usual)
									return response(r, 200, bytes.NewReader(right)), nil
								})
							}
							first := p.wave(t, 24, route)
							if first > firstByte+time.Second {
								t.Errorf("a client waited %s", first)
							}
							if second := p.wave(t, 24, route); second > time.Second {
								t.Errorf("a client waited %s when the fault was known", second)
							}
							for _, m := range p.Status().Masters {
								if m.N != ill && m.State != "healthy" {
									t.Errorf("a healthy master is %s: %s", m.State, m.Why)
								}
							}
						})
					})
				}
			}
		}
	}
}

// wave sends requests all at once, and returns the longest wait.
func (p *Pool) wave(t *testing.T, n int, route kind.Route) (longest time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		route.Key = fmt.Sprint(route.Path, i)
		ask := Request{Route: route, Awaited: func() bool { return true }}
		all.Go(func() {
			begun := time.Now()
			err := p.Each(t.Context(), ask, useRight)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", ask.Route.Key, err)
			}
			longest = max(longest, time.Since(begun))
		})
	}
	all.Wait()
	return longest
}

// A hedge that finds no room at its master is no try: when the first master fails, the
// other one is asked.
func TestHedgeWithoutRoomIsNoTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, b := oneHung(t)
		p.occupy(t, b, health.ForMetadata, firstWidth) // so that the other is asked first
		time.AfterFunc(7*time.Second, func() { p.Release(b, health.ForMetadata) })
		if took := p.wave(t, 1, kind.Route{Class: kind.Metadata, Path: "/n"}); took != 10*time.Second+usual {
			t.Errorf("it took %s", took)
		}
	})
}

// A request that has found no room at a master, and was not sent, is soon sent to another one,
// without any budget: a master that hangs gives a place late, and would be waited for twice.
func TestWaitForAPlaceIsNoTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a, b := oneHung(t)
		p.hedges.saved, p.hedges.share, p.hedges.perSecond = 0, 0, 0
		p.widen(t, b)
		p.occupy(t, a, health.ForMetadata, firstWidth)
		p.occupy(t, b, health.ForMetadata, 2*firstWidth)
		if took := p.wave(t, 1, kind.Route{Class: kind.Metadata, Path: "/n"}); took != leastHedge+usual {
			t.Errorf("it took %s", took)
		}
	})
}

// oneHung is a pool of two masters, the first of which hangs.
func oneHung(t *testing.T) (p *Pool, a, b *health.Master) {
	p = poolOf("pr", func(c *Config) { c.Timeouts = transport.Timeouts{FirstByte: 10 * time.Second} })
	a, b = p.named("a"), p.named("b")
	a.Client.Transport = roundTrip(masterFaults["hung"])
	b.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		<-time.After(usual)
		return response(r, 200, bytes.NewReader(right)), nil
	})
	return p, a, b
}
