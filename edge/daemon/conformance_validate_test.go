package daemon

import (
	"testing"
	"time"
)

// Validation: conditional requests to the origin, the effect of its answers on
// the stored response, and conditional requests of clients (RFC 9111 section 4.3, RFC
// 9110 section 13).

func TestValidation(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(validations(), conditions()))
}

func validations() []row {
	modified := ago(1000 * time.Hour)
	stale := func(fields ...string) step {
		return get().reply(200, append([]string{"Cache-Control: max-age=60", "Age: 100"}, fields...)...).each()
	}
	return []row{
		{rfc: "9111 4.3.1", rule: "both validators are sent", steps: []step{
			stale(`ETag: "v"`, "Last-Modified: "+modified),
			get().reply(304).seen(`If-None-Match: "v"`, "If-Modified-Since: "+modified).body("reply 1\n").tells("fwd=stale"),
		}},
		{rfc: "9111 4.3.1", rule: "a weak validator is sent as it is", steps: []step{
			stale(`ETag: W/"v"`),
			get().reply(304).seen(`If-None-Match: W/"v"`, "!If-Modified-Since").body("reply 1\n"),
		}},
		{rfc: "9111 4.3.1", rule: "Last-Modified goes back to the letter", steps: []step{
			stale("Last-Modified: Tue, 1 Jul 2025 00:00:00 UTC"),
			get().reply(304).seen("If-Modified-Since: Tue, 1 Jul 2025 00:00:00 UTC", "!If-None-Match").body("reply 1\n"),
		}},
		{rfc: "9110 8.8.2.2", rule: "a Last-Modified in the second of the response is no validator", steps: []step{
			stale("Last-Modified: "+modified, "Date: "+modified),
			get().reply(200, "Last-Modified: "+modified, "Cache-Control: max-age=3600").seen("!If-Modified-Since", "!If-None-Match").body("reply 2\n").tells("fwd=stale", "fwd-status=200"),
		}},
		{rfc: "9110 8.8.2.2", rule: "nor is one later than the reception, without Date", steps: []step{
			stale("Last-Modified: "+ago(-time.Hour), "Date: "),
			get().reply(200, "Cache-Control: max-age=3600").seen("!If-Modified-Since", "!If-None-Match").body("reply 2\n"),
		}},
		{rfc: "9110 8.8.2.2", rule: "nor is one that is later", steps: []step{
			stale("Last-Modified: " + ago(-time.Hour)),
			get().reply(200, "Cache-Control: max-age=3600").seen("!If-Modified-Since", "!If-None-Match").body("reply 2\n"),
		}},
		{rfc: "9110 8.8.2.2", rule: "an ETag beside it is one", steps: []step{
			stale("Last-Modified: "+modified, "Date: "+modified, `ETag: "v"`),
			get().reply(304).seen("!If-Modified-Since", `If-None-Match: "v"`).body("reply 1\n"),
		}},
		{rfc: "9111 4.3.1", rule: "without validators the request has no condition", steps: []step{
			stale(),
			get().reply(200).each().seen("!If-None-Match", "!If-Modified-Since").body("reply 2\n").tells("fwd=stale", "fwd-status=200"),
		}},
		{rfc: "9111 4.3.4", rule: "a 304 makes the response fresh, and changes its fields", steps: []step{
			stale(`ETag: "v"`, "X-Kept: 1", "X-Changed: old", "Content-Type: text/plain"),
			get().reply(304, `ETag: "v"`, "X-Changed: new", "X-Added: 1", "Cache-Control: max-age=3600", "Content-Type: text/html", "Content-Length: 99").
				want(200, "X-Kept: 1", "X-Changed: new", "X-Added: 1", "Content-Type: text/plain", "Content-Length: 8").body("reply 1\n"),
			get().want(200, "X-Kept: 1", "X-Changed: new", "X-Added: 1", "Content-Type: text/plain", "Cache-Control: max-age=3600", "Age: 0").
				body("reply 1\n").tells("hit", "ttl=3600"),
		}},
		{rfc: "9111 4.3.4", rule: "a 304 with an Age", steps: []step{
			stale(`ETag: "v"`),
			get().reply(304, `ETag: "v"`, "Age: 20").want(200, "Age: 20"),
			get().want(200, "Age: 20").body("reply 1\n").hit(),
		}},
		{rfc: "9111 4.3.3", rule: "a full response takes the old one's place", steps: []step{
			stale(`ETag: "v"`),
			get().reply(200, `ETag: "w"`, "Cache-Control: max-age=3600").want(200, `ETag: "w"`).body("reply 2\n").tells("fwd=stale", "stored"),
			get().body("reply 2\n").hit(),
		}},
		{rfc: "9111 4.3.3", rule: "a 404 is an answer and not a failure", steps: []step{
			stale(`ETag: "v"`),
			get().reply(404).each().want(404).body("reply 2\n").tells("fwd=stale", "fwd-status=404"),
		}},
		{rfc: "9111 4.3.3", rule: "what may not be stored leaves the old one to be validated", steps: []step{
			stale(`ETag: "v"`),
			get().reply(200, "Cache-Control: no-store", `ETag: "w"`).each().body("reply 2\n").tells("!stored"),
			get().reply(304).seen(`If-None-Match: "v"`).body("reply 1\n"),
		}},
		{rfc: "9110 15.4.5", rule: "a 304 that was not asked for is no answer", steps: []step{
			get().reply(304).each().failing().want(503, "Proxy-Status: *", "Retry-After: *").tells("detail=error"),
		}},
	}
}

func conditions() []row {
	modified := time.Now().Add(-1000 * time.Hour)
	date := func(d time.Duration) string { return modified.Add(d).UTC().Format(httpDate) }
	stored := []string{"Cache-Control: max-age=3600", `ETag: "v,1"`, "Last-Modified: " + date(0), "Content-Type: text/plain", "Vary: Accept", "Expires: 0", "Content-Location: /z"}
	unchanged := func(rfc, rule string, fields ...string) row {
		return row{rfc: rfc, rule: rule, steps: []step{
			get().reply(200, stored...),
			get(fields...).want(304, "!Content-Length", "!Content-Type", `ETag: "v,1"`, "Cache-Control: max-age=3600", "Vary: Accept", "Expires: 0",
				"Content-Location: /z", "Date: *", "Age: *").body("").hit(),
		}}
	}
	changed := func(rfc, rule string, fields ...string) row {
		return row{rfc: rfc, rule: rule, steps: []step{
			get().reply(200, stored...),
			get(fields...).want(200, `ETag: "v,1"`).body("reply 1\n").hit(),
		}}
	}
	return []row{
		unchanged("9110 13.1.2", "If-None-Match names it", `If-None-Match: "v,1"`),
		unchanged("9110 8.8.3.2", "If-None-Match compares weakly", `If-None-Match: W/"v,1"`),
		unchanged("9110 13.1.2", "If-None-Match names it among others", `If-None-Match: "a", W/"b" ,"v,1"`),
		unchanged("9110 13.1.2", "If-None-Match in several lines", `If-None-Match: "a"`, `If-None-Match: "v,1"`),
		unchanged("9110 13.1.2", "If-None-Match: *", "If-None-Match: *"),
		unchanged("9110 13.1.3", "If-Modified-Since is the date", "If-Modified-Since: "+date(0)),
		unchanged("9110 13.1.3", "If-Modified-Since is later", "If-Modified-Since: "+date(time.Hour)),
		unchanged("9110 13.1.3", "If-None-Match counts and If-Modified-Since does not", `If-None-Match: "v,1"`, "If-Modified-Since: "+date(-time.Hour)),
		changed("9110 13.1.3", "also where they differ the other way", `If-None-Match: "other"`, "If-Modified-Since: "+date(time.Hour)),
		changed("9110 13.1.2", "If-None-Match names another", `If-None-Match: "other"`),
		changed("9110 8.8.3", "a comma between quotes divides nothing", `If-None-Match: "v`, `If-None-Match: 1"`),
		changed("9110 13.1.2", "a star between quotes is a tag", `If-None-Match: "a,*,b"`),
		changed("9110 8.8.3", "case counts in a tag", `If-None-Match: "V,1"`),
		changed("9110 13.1.3", "If-Modified-Since is earlier", "If-Modified-Since: "+date(-time.Second)),
		changed("9110 13.1.3", "If-Modified-Since is no date", "If-Modified-Since: "+date(0)[:20]),
		changed("9110 13.1.3", "If-Modified-Since twice", "If-Modified-Since: "+date(0), "If-Modified-Since: "+date(0)),
		{rfc: "9110 8.8.2.2", rule: "If-Modified-Since is the date, in the second of the response", steps: []step{
			get().reply(200, "Cache-Control: max-age=36000000", "Last-Modified: "+date(0), "Date: "+date(0)),
			get("If-Modified-Since: " + date(0)).want(200).body("reply 1\n").hit(),
			get("If-Modified-Since: " + date(time.Second)).want(304).hit(),
		}},
		{rfc: "9111 4.3.2", rule: "without Last-Modified its Date stands in", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", "Date: "+ago(time.Minute)),
			get("If-Modified-Since: " + ago(30*time.Second)).want(304).hit(),
			get("If-Modified-Since: " + ago(time.Hour)).want(200).body("reply 1\n").hit(),
		}},
		{rfc: "9111 4.3.2", rule: "a condition with nothing stored fetches the whole", steps: []step{
			get(`If-None-Match: "v"`).reply(200, "Cache-Control: max-age=3600", `ETag: "v"`).seen("!If-None-Match").want(304).tells("fwd=uri-miss", "fwd-status=200", "stored"),
			get().body("reply 1\n").hit(),
		}},
		{rfc: "9111 4.3.2", rule: "a condition on what is stale is the edge's own to the origin", steps: []step{
			get().reply(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "v"`).each(),
			get(`If-None-Match: "old"`).reply(304, `ETag: "v"`).seen(`If-None-Match: "v"`).want(200).body("reply 1\n"),
			get(`If-None-Match: "v"`).want(304).hit(),
		}},
		{rfc: "9110 15.4.5", rule: "a 404 that is stored is no match", brief: true, steps: []step{
			get().reply(404, "Cache-Control: max-age=3600", `ETag: "v"`).want(404),
			get(`If-None-Match: "v"`).want(404).body("reply 1\n").hit(),
		}},
		{rfc: "9111 4.3.2", rule: "If-Match is the origin's to judge", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", `ETag: "v"`),
			get(`If-Match: "w"`).reply(412).each().seen(`If-Match: "w"`).want(412, "!Age").tells("fwd=bypass"),
			get("If-Unmodified-Since: " + date(0)).reply(412).each().seen("If-Unmodified-Since: *").want(412).tells("fwd=bypass"),
			get().body("reply 1\n").hit(),
		}},
	}
}

const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"
