package transport

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "1e3": 0, "7.5": 0,
		"86400": time.Minute, "99999999999999999999": 0, "9223372036854775807": time.Minute,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}); got != want {
			t.Errorf("Retry-After: %q is %v; want %v", value, got, want)
		}
	}
}

const publicBase = "https://edge.example/npm"

func TestLocationStaysAtTheEdge(t *testing.T) {
	for _, tt := range []struct{ name, base, location, want string }{
		{"the master by name", "https://a.example", "https://a.example/x", publicBase + "/x"},
		{"in capitals, with its port", "https://a.example", "https://A.example:443/x", publicBase + "/x"},
		{"escaped, with query and fragment", "https://a.example", "https://a.example/@s%2fn?a=%20b#c", publicBase + "/@s%2fn?a=%20b#c"},
		{"below the base", "https://a.example/reg/", "https://a.example/reg/x", publicBase + "/x"},
		{"the base itself", "https://a.example/reg", "https://a.example/reg", publicBase},
		{"a path below the base", "https://a.example/reg", "/reg/x?y", "/npm/x?y"},
		{"the base as a path", "https://a.example/reg", "/reg", "/npm"},
		{"a path beside the base", "https://a.example/reg", "/login", "https://a.example/login"},
		{"a path that only begins like the base", "https://a.example/reg", "/registry/x", "https://a.example/registry/x"},
		{"a relative path", "https://a.example/reg", "x/y", "x/y"},
		{"a query", "https://a.example", "?page=2", "?page=2"},
		{"another host", "https://a.example", "https://cdn.example/x", "https://cdn.example/x"},
		{"another port", "https://a.example", "https://a.example:8443/x", "https://a.example:8443/x"},
		{"another scheme", "https://a.example", "http://a.example/x", "http://a.example/x"},
		{"a host that begins like the master's", "https://a.example", "https://a.example.org/x", "https://a.example.org/x"},
		{"a host without a scheme", "https://a.example", "//cdn.example/x", "https://cdn.example/x"},
		{"nonsense", "https://a.example", "http://[", "http://["},
		{"none", "https://a.example", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, err := url.Parse(tt.base)
			if err != nil {
				t.Fatal(err)
			}
			target, err := url.Parse(Join(base, "/dir/file"))
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{}
			if tt.location != "" {
				h.Set("Location", tt.location)
			}
			Localize(h, target, base, publicBase)
			if got := h.Get("Location"); got != tt.want {
				t.Errorf("Location: %s; want %s", got, tt.want)
			}
			if _, ok := h["Location"]; ok && tt.location == "" {
				t.Error("a Location was made up")
			}
		})
	}
}

// Below an edge without a path of its own a master's path may begin like a host.
func TestLocationOfARootStaysAPath(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "a.example", Path: "/reg"}
	for location, want := range map[string]string{
		"/reg/x":             "/x",
		"/reg":               "https://edge.example",
		"/reg//evil.example": "https://edge.example//evil.example",
	} {
		h := http.Header{"Location": {location}}
		Localize(h, base, base, "https://edge.example")
		if got := h.Get("Location"); got != want {
			t.Errorf("%s became %s; want %s", location, got, want)
		}
	}
}

func TestTraceIDs(t *testing.T) {
	const id, rest = "4bf92f3577b34da6a3ce929d0e0e4736", "-00f067aa0ba902b7-01"
	for sent, want := range map[string]string{
		"00-" + id + rest:                                  id,
		"cc-" + id + rest:                                  id,
		"cc-" + id + rest + "-more":                        id,
		"cc-" + id + rest + "more":                         "",
		"cc-" + id + rest + "-é":                           "",
		"cc-" + id + rest + "-" + strings.Repeat("x", 100): "",
		"00-" + id + rest + "-more":                        "",
		"ff-" + id + rest:                                  "",
		"0g-" + id + rest:                                  "",
		"00-" + strings.ToUpper(id) + rest:                 "",
		"00-00000000000000000000000000000000" + rest:       "",
		"00-" + id + "-0000000000000000-01":                "",
		"00-" + id + "-00f067aa0ba902b7-0":                 "",
		"00_" + id + rest:                                  "",
		"00-" + id[1:] + "-" + rest:                        "",
		"":                                                 "",
	} {
		if got := TraceID(sent); got != want {
			t.Errorf("%q is of the trace %q; want %q", sent, got, want)
		}
		if got := string(TraceID([]byte(sent))); got != want {
			t.Errorf("%q, as bytes, is of the trace %q; want %q", sent, got, want)
		}
	}
}

func TestALargeStateOfATraceStays(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for size, want := range map[int]bool{100: true, maxTraceState: true, maxTraceState + 1: false} {
		h := http.Header{"Traceparent": {parent}, "Tracestate": {"a=" + strings.Repeat("b", size-4), "c="}}
		KeepTrace(h)
		if _, got := h["Tracestate"]; got != want || h.Get("Traceparent") != parent {
			t.Errorf("a state of %d bytes: %t, and %q", size, got, h.Get("Traceparent"))
		}
	}
}
