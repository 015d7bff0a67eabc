package daemon

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/dunglas/httpsfv"
)

// proxyErrors are the types of RFC 9209 section 2.3 that the edge may name.
var proxyErrors = []string{
	"dns_timeout", "dns_error", "destination_unavailable", "destination_ip_unroutable", "connection_refused",
	"connection_terminated", "connection_timeout", "connection_read_timeout", "tls_protocol_error",
	"tls_certificate_error", "tls_alert_received", "http_request_error", "http_response_incomplete",
	"http_response_header_section_size", "http_response_transfer_coding", "http_response_content_coding",
	"http_response_timeout", "http_protocol_error", "proxy_internal_response", "proxy_internal_error",
	"proxy_loop_detected",
}

// forwardReasons are those of RFC 9211 section 2.2.
var forwardReasons = []string{"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}

// checkHonest holds a response's own account against the facts: asked is how often
// the origin was asked for this request and its copies.
func checkHonest(t testing.TB, a *answered, asked int) {
	t.Helper()
	if a.Response == nil {
		return
	}
	checkFields(t, "the response", a.Header, []string{
		"!Warning", "!Connection", "!Keep-Alive", "!Proxy-Connection", "!Te", "!Trailer", "!Upgrade", "Date: *",
	}, 0)
	params := edgeParams(t, a.Header)
	if params == nil {
		return
	}
	for _, name := range params.Names() {
		value, _ := params.Get(name)
		checkParam(t, a, name, value)
	}
	_, hit := params.Get("hit")
	_, forwarded := params.Get("fwd")
	_, collapsed := params.Get("collapsed")
	_, stored := params.Get("stored")
	_, hasStatus := params.Get("fwd-status")
	detail, _ := params.Get("detail")
	told := a.Header["Cache-Status"]
	switch {
	case hit && forwarded:
		t.Errorf("Cache-Status %q: both hit and fwd", told)
	case hit && (stored || collapsed || hasStatus):
		t.Errorf("Cache-Status %q: a hit was not forwarded", told)
	case forwarded && asked == 0:
		t.Errorf("Cache-Status %q: the origin was not asked", told)
	case (stored || collapsed || hasStatus) && !forwarded:
		t.Errorf("Cache-Status %q: needs fwd", told)
	}
	if _, hasAge := a.Header["Age"]; hit && !hasAge {
		t.Errorf("Cache-Status %q without Age", told)
	}
	generated := slices.Contains([]httpsfv.Token{"error", "refused", "limited", "loop"}, detail.(httpsfv.Token))
	checkProxyStatus(t, a.Header, generated)
}

// checkParam: the type that RFC 9211 gives a parameter, and a value that can be.
func checkParam(t testing.TB, a *answered, name string, value any) {
	t.Helper()
	ok := false
	switch name {
	case "hit", "stored", "collapsed":
		ok = value == true
	case "fwd":
		token, is := value.(httpsfv.Token)
		ok = is && slices.Contains(forwardReasons, string(token))
	case "fwd-status":
		n, is := value.(int64)
		ok = is && n >= 200 && n <= 599
	case "ttl":
		_, ok = value.(int64)
	case "detail":
		_, ok = value.(httpsfv.Token)
	}
	if !ok {
		t.Errorf("Cache-Status %q: %s cannot be %v", a.Header["Cache-Status"], name, value)
	}
}

// checkProxyStatus: RFC 9209 is for responses that the edge made by itself because
// something failed, and for no others.
func checkProxyStatus(t testing.TB, h http.Header, generated bool) {
	t.Helper()
	lines := h["Proxy-Status"]
	if !generated {
		if len(lines) > 0 {
			t.Errorf("Proxy-Status %q on a response that did not fail", lines)
		}
		return
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil || len(list) != 1 {
		t.Errorf("Proxy-Status %s: want one member: %v", strconv.Quote(h.Get("Proxy-Status")), err)
		return
	}
	why, _ := list[0].(httpsfv.Item).Params.Get("error")
	if token, ok := why.(httpsfv.Token); !ok || !slices.Contains(proxyErrors, string(token)) {
		t.Errorf("Proxy-Status %q names no error of RFC 9209", lines)
	}
}
