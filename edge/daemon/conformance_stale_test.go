package daemon

import (
	"fmt"
	"testing"
)

// Stale responses: RFC 9111 section 4.2.4, RFC 5861, and the operator's
// overrides.

func TestStale(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(whileRevalidating(), onError(), overridden()))
}

// staleBy is a response that has been stale for 40 s since it came.
func staleBy(control string, fields ...string) step {
	return get().reply(200, append([]string{"Cache-Control: max-age=60" + control, "Age: 100", `ETag: "v"`}, fields...)...).each()
}

func whileRevalidating() []row {
	inBackground := get().reply(304).background().want(200, "Age: 100").body("reply 1\n").tells("hit", "ttl=-40", "detail=stale")
	forward := get().reply(304).seen(`If-None-Match: "v"`).body("reply 1\n").tells("fwd=stale", "fwd-status=304")
	rows := []row{
		{rfc: "5861 3", rule: "stale-while-revalidate answers at once, and validates once", steps: []step{
			staleBy(", stale-while-revalidate=1000"), inBackground, get().want(200, "Age: 0").body("reply 1\n").tells("hit", "ttl=60"),
		}},
		{rfc: "5861 3", rule: "and replaces what has changed", steps: []step{
			staleBy(", stale-while-revalidate=1000"),
			get().reply(200, "Cache-Control: max-age=3600").background().tells("hit"),
			get().body("reply 2\n").hit(),
		}},
		{rfc: "5861 3", rule: "but not beyond its window", steps: []step{staleBy(", stale-while-revalidate=10"), forward}},
		{rfc: "9213 2.2", rule: "a targeted window counts", steps: []step{
			staleBy("", "CDN-Cache-Control: max-age=60, stale-while-revalidate=1000"), inBackground,
		}},
		{rfc: "5861 3", rule: "the operator's window, where the response has none", site: "kind: files, stale: { while_revalidate: 1h }", steps: []step{
			staleBy(""), inBackground,
		}},
		{rfc: "5861 3", rule: "the response's window is not widened", site: "kind: files, stale: { while_revalidate: 1h }", steps: []step{
			staleBy(", stale-while-revalidate=10"), forward,
		}},
		{rfc: "9111 5.2.1.4", rule: "a request with no-cache waits", steps: []step{
			staleBy(", stale-while-revalidate=1000"),
			get("Cache-Control: no-cache").reply(304).body("reply 1\n").each().tells("fwd=stale"),
		}},
	}
	for _, word := range forbidding {
		rows = append(rows, row{rfc: "9111 4.2.4", rule: word + " forbids it", steps: []step{
			staleBy(", stale-while-revalidate=1000, " + word), forward.each(),
		}})
	}
	return rows
}

// forbidding are the directives after which nothing stale may be sent.
var forbidding = []string{"must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"}

func onError() []row {
	fallback := func(s step) step {
		return s.want(200, "Age: 100", "!Proxy-Status").body("reply 1\n").tells("fwd=stale", "detail=stale-error", "ttl=-40")
	}
	failed := func(s step, status int, why string) step {
		return s.want(status, "Proxy-Status: edge; error="+why, "Retry-After: *", "Cache-Control: no-store", "!Age").tells("detail=error")
	}
	rows := []row{
		{rfc: "9111 4.2.4", rule: "disconnected, what is stored answers", steps: []step{staleBy(""), fallback(get().drop())}},
		{rfc: "5861 4", rule: "stale-if-error, when the origin does not answer", steps: []step{staleBy(", stale-if-error=1000"), fallback(get().drop())}},
		{rfc: "5861 4", rule: "but not beyond its window", steps: []step{
			staleBy(", stale-if-error=10"), failed(get().drop(), 503, "connection_terminated"),
		}},
		{rfc: "5861 4", rule: "beyond its window the origin's error is the answer", steps: []step{
			staleBy(", stale-if-error=10"), get().reply(500).each().want(500).body("reply 2\n").tells("fwd=stale", "fwd-status=500"),
		}},
		{rfc: "5861 4", rule: "a request may ask for more", steps: []step{
			staleBy(", stale-if-error=10"), fallback(get("Cache-Control: stale-if-error=1000").drop()),
		}},
		{rfc: "5861 4", rule: "an operator may shorten it", site: "kind: files, stale: { if_error: 0s }", steps: []step{
			staleBy(""), failed(get().drop(), 503, "connection_terminated"),
		}},
		{rfc: "9209 2.3", rule: "nothing stored, and no answer", steps: []step{failed(get().drop(), 503, "connection_terminated")}},
		{rfc: "9111 4.3.3", rule: "nothing stored, and an error: it goes on", steps: []step{
			get().reply(503, "Retry-After: 7").each().want(503, "Retry-After: 7", "!Proxy-Status").body("reply 1\n").tells("fwd=uri-miss", "!stored"),
		}},
		{rfc: "9111 4.2.4", rule: "what is stored and fresh needs no origin", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600, must-revalidate"), get().body("reply 1\n").hit(),
		}},
	}
	for _, status := range []int{500, 502, 503, 504} {
		rows = append(rows, row{rfc: "5861 4", rule: fmt.Sprintf("stale-if-error, when the origin answers %d", status), steps: []step{
			staleBy(", stale-if-error=1000"), fallback(get().reply(status).each().failing()),
		}})
	}
	for _, word := range forbidding {
		rows = append(rows, row{rfc: "9111 4.2.4", rule: word + " forbids it on error", steps: []step{
			staleBy(", stale-if-error=1000, " + word), failed(get().drop(), 503, "connection_terminated").each(),
		}})
	}
	return rows
}

// overridden: stale.override makes the operator's windows hold against the
// response's word.
func overridden() []row {
	const site = "kind: files, stale: { while_revalidate: 0s, if_error: forever, override: true }"
	var rows []row
	for _, word := range []string{"must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache", "stale-if-error=1"} {
		rows = append(rows, row{rfc: "9111 4.2.4", rule: "the operator overrides " + word + ", and Cache-Status tells", site: site, steps: []step{
			staleBy(", " + word), get().drop().want(200, "Age: 100").body("reply 1\n").tells("fwd=stale", "detail=stale-error").each(),
		}})
	}
	return append(rows, row{
		rfc: "9111 4.2.4", rule: "the override does not keep what is stale from being validated", site: site, steps: []step{
			staleBy(", must-revalidate"), get().reply(304).each().seen(`If-None-Match: "v"`).body("reply 1\n").tells("fwd=stale"),
		},
	})
}
