package policy

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestStorable(t *testing.T) {
	authorized := asking("")
	authorized.Authorized = true
	post := asking("")
	post.Method = http.MethodPost
	get := asking("")
	for _, tt := range []struct {
		rule    string
		request Request
		policy  Rule
		status  int
		lines   []string
		want    bool
	}{
		{"§3 max-age", get, Rule{}, 200, []string{"Cache-Control: max-age=60"}, true},
		{"§3 s-maxage", get, Rule{}, 200, []string{"Cache-Control: s-maxage=60"}, true},
		{"§3 public", get, Rule{}, 200, []string{"Cache-Control: public"}, true},
		{"§3 Expires", get, Rule{}, 200, []string{"Expires: Sun, 01 Mar 2026 13:00:00 GMT"}, true},
		{"§3 max-age with a status that is not heuristic", get, Rule{}, 302, []string{"Cache-Control: max-age=60"}, true},
		{"§3 says nothing, validates nothing: not worth it", get, Rule{}, 200, nil, false},
		{"§3 heuristic status and a validator", get, Rule{}, 200, []string{`Etag: "a"`}, true},
		{"§3 no heuristic status, only a validator", get, Rule{}, 302, []string{`Etag: "a"`}, false},
		{"§4.2.2 heuristic by Last-Modified", get, Rule{Heuristic: true}, 200, []string{"Last-Modified: Sun, 01 Mar 2020 12:00:00 GMT"}, true},
		{"§3 the operator gives a lifetime", get, Rule{OK: Clamp{Default: time.Hour}}, 200, nil, true},
		{"§3 the operator's lifetime is for 200 alone", get, Rule{OK: Clamp{Default: time.Hour}}, 302, nil, false},
		{"§3 the operator gives 404 a lifetime", get, Rule{Missing: AtMost(time.Minute)}, 404, nil, true},
		{"§3 the operator gives 410 a lifetime", get, Rule{Missing: AtMost(time.Minute)}, 410, nil, true},
		{"§3 a 500 of few words", get, Rule{OK: Clamp{Default: time.Hour}, Missing: AtMost(time.Hour)}, 500, nil, false},
		{"§3 method", post, Rule{}, 200, []string{"Cache-Control: max-age=60"}, false},
		{"§3 interim status", get, Rule{}, 103, []string{"Cache-Control: max-age=60"}, false},
		{"§3.3 no parts", get, Rule{}, 206, []string{"Cache-Control: max-age=60"}, false},
		{"§4.3.4 304 is no response of its own", get, Rule{}, 304, []string{"Cache-Control: max-age=60"}, false},
		{"§4.1 Vary: *", get, Rule{}, 200, []string{"Cache-Control: max-age=60", "Vary: Accept, *"}, false},
		{"§5.2.1.5 no-store of the request", asking("no-store"), Rule{}, 200, []string{"Cache-Control: max-age=60"}, false},
		{"§5.2.2.5 no-store", get, Rule{OK: Exactly(time.Hour)}, 200, []string{"Cache-Control: max-age=60, no-store"}, false},
		{"§5.2.2.5 no-store on a second line", get, Rule{}, 200, []string{"Cache-Control: max-age=60", "Cache-Control: no-store"}, false},
		{"§5.2.2.3 must-understand lifts no-store", get, Rule{}, 200, []string{"Cache-Control: max-age=60, no-store, must-understand"}, true},
		{"§5.2.2.3 must-understand, status unknown", get, Rule{}, 299, []string{"Cache-Control: max-age=60, must-understand"}, false},
		{"§5.2.2.7 private", get, Rule{}, 200, []string{"Cache-Control: max-age=60, private"}, false},
		{"§5.2.2.7 private of named fields", get, Rule{}, 200, []string{`Cache-Control: max-age=60, private="X-A"`}, true},
		{"§3.5 Authorization", authorized, Rule{}, 200, []string{"Cache-Control: max-age=60"}, false},
		{"§3.5 Authorization and the operator", authorized, Rule{OK: Exactly(time.Hour)}, 200, nil, false},
		{"§3.5 Authorization, public", authorized, Rule{}, 200, []string{"Cache-Control: max-age=60, public"}, true},
		{"§3.5 Authorization, s-maxage", authorized, Rule{}, 200, []string{"Cache-Control: s-maxage=60"}, true},
		{"§3.5 Authorization, must-revalidate", authorized, Rule{}, 200, []string{"Cache-Control: max-age=60, must-revalidate"}, true},
		{"RFC 9213 §2.2 targeted no-store", get, Rule{}, 200, []string{"Cache-Control: max-age=60", "Cdn-Cache-Control: no-store"}, false},
		{"RFC 9213 §2.2 targeted max-age over no-store", get, Rule{}, 200, []string{"Cache-Control: no-store", "Cdn-Cache-Control: max-age=60"}, true},
		{"RFC 9213 §2.1 invalid targeted field, no-store decides", get, Rule{}, 200, []string{"Cache-Control: no-store", "Cdn-Cache-Control: max-age=,"}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := Storable(tt.policy, tt.request, tt.status, policytest.Fields(tt.lines...)); have != tt.want {
				t.Errorf("storable %v, want %v", have, tt.want)
			}
		})
	}
}

func TestEndToEnd(t *testing.T) {
	h := policytest.Fields(
		"Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: x", "Proxy-Authenticate: x",
		"Proxy-Authorization: x", "Proxy-Authentication-Info: x", "Te: trailers", "Trailer: X", "Transfer-Encoding: chunked",
		"Upgrade: h2c", "Etag: \"a\"", "X-End: 1")
	before := h.Clone()
	if have, want := EndToEnd(h), policytest.Fields("Etag: \"a\"", "X-End: 1"); !reflect.DeepEqual(have, want) {
		t.Errorf("RFC 9110 §7.6.1 leaves %v, want %v", have, want)
	}
	if !reflect.DeepEqual(h, before) {
		t.Error("the message's own fields were changed")
	}
	if len(EndToEnd(nil)) != 0 {
		t.Error("fields out of nothing")
	}
}

func TestStoredHeader(t *testing.T) {
	h := policytest.Fields("Set-Cookie: a=b", "X-A: 1", "X-B: 2", "X-C: 3", `Cache-Control: no-cache="x-a", private="X-B"`)
	c := control(h)
	have := storedFields(h, &c)
	for _, name := range []string{"Set-Cookie", "X-A", "X-B"} {
		if _, ok := have[name]; ok {
			t.Errorf("%s is kept", name)
		}
	}
	if have.Get("X-C") != "3" {
		t.Error("another field is lost")
	}
}
