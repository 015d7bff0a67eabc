package pool

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// A client asks again and again for names at which each master goes wrong in the same way. That puts no master
// out, since each is well for all other names; and a master that alone goes wrong is found as ever.
func TestNamesThatNoMasterCanAnswerPutNoneOut(t *testing.T) {
	for fault, serve := range masterFaults {
		for _, class := range []kind.Class{kind.Metadata, kind.File} {
			if fault == "refused" || class == kind.File && (strings.HasSuffix(fault, "in the body") || fault == "hung after the fields" || fault == "lying") {
				continue // of these the master alone is to blame, or its file
			}
			for _, alone := range []bool{false, true} {
				if alone && fault == "hung" {
					continue // the others are preferred for their speed before it is out
				}
				t.Run(fmt.Sprintf("%s/%v/alone=%v", fault, class, alone), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						p := poolOf("prr", func(c *Config) {
							c.Timeouts = transport.Timeouts{FirstByte: 10 * time.Second, Idle: 20 * time.Second}
						})
						for i, m := range p.Masters() {
							m.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
								if strings.HasPrefix(r.URL.Path, "/bad") && (i == 0 || !alone) {
									return serve(r)
								}
								<-time.After(usual)
								return response(r, 200, bytes.NewReader(right)), nil
							})
						}
						for n := range 4 * inARow {
							route := kind.Route{Class: class, Endpoint: "packument", Path: fmt.Sprint("/bad", n), Key: fmt.Sprint(n)}
							err := p.Each(t.Context(), Request{Route: route, Awaited: func() bool { return true }}, useRight)
							if (err == nil) != alone {
								t.Fatalf("request %d: %v", n, err)
							}
						}
						for _, m := range p.Status().Masters {
							switch ill := alone && m.N == 0 && fault != "overloaded"; {
							case ill && m.State == "healthy", !ill && m.State != "healthy":
								t.Errorf("master %d is %s: %s", m.N, m.State, m.Why)
							}
						}
					})
				})
			}
		}
	}
}

// Where all masters are overloaded, or cannot be reached, that is theirs, and one of them goes out: the second
// tries would cost the others more.
func TestMastersThatCannotAreBlamed(t *testing.T) {
	for name, serve := range map[string]func(r *http.Request) (*http.Response, error){
		"refused": masterFaults["refused"],
		"503":     func(r *http.Request) (*http.Response, error) { return response(r, 503, bytes.NewReader(nil)), nil },
	} {
		p := poolOf("pr", nil)
		for _, m := range p.Masters() {
			m.Client.Transport = roundTrip(serve)
		}
		for n := range 2 * inARow {
			route := kind.Route{Class: kind.Metadata, Endpoint: "packument", Path: fmt.Sprint("/n", n)}
			if err := p.Each(t.Context(), Request{Route: route}, useRight); err == nil {
				t.Fatal(name, "an answer")
			}
		}
		gone := 0
		for _, m := range p.Status().Masters {
			if m.State == "out" {
				gone++
			}
		}
		if gone != 1 {
			t.Errorf("%s: %d masters are out; want one", name, gone)
		}
	}
}
