package daemon

import (
	"testing"
	"time"
)

// Reuse: Age, and the demands of requests (RFC 9111 sections 4.2.3, 5.1, 5.2.1
// and 5.4).

func TestReuse(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(ages(), demands(), qualified()))
}

// aged is a response that comes with these fields and then has that Age, and
// that much left of an hour.
func aged(rule, age, ttl string, fields ...string) row {
	return row{rfc: "9111 4.2.3", rule: rule, steps: []step{
		get().reply(200, append([]string{"Cache-Control: max-age=3600"}, fields...)...),
		get().want(200, "Age: "+age).body("reply 1\n").tells("hit", "ttl="+ttl),
	}}
}

func ages() []row {
	return []row{
		aged("a response begins with age 0", "0", "3600"),
		aged("Age counts", "100", "3500", "Age: 100"),
		aged("a Date in the past counts", "200", "3400", "Date: "+ago(200*time.Second)),
		aged("the larger of Age and the Date's distance counts", "300", "3300", "Age: 300", "Date: "+ago(200*time.Second)),
		aged("and the other way round", "300", "3300", "Age: 200", "Date: "+ago(300*time.Second)),
		aged("a Date in the future does not make it younger", "0", "3600", "Date: "+ahead(time.Hour)),
		aged("a Date that is none does not count", "0", "3600", "Date: the other day"),
		aged("an Age that is no number does not count", "0", "3600", "Age: old"),
		aged("nor one below zero", "0", "3600", "Age: -100"),
		aged("nor one with a fraction", "0", "3600", "Age: 100.5"),
		aged("nor one with a parameter", "0", "3600", "Age: 100;a=b"),
		aged("of several values the first", "100", "3500", "Age: 100, 4000"),
		aged("of several lines the first", "100", "3500", "Age: 100", "Age: 4000"),
		validated("9111 4.2", "what is older than its lifetime is stale", "Cache-Control: max-age=3600", "Age: 3600"),
		validated("9111 1.2.2", "an Age beyond what fits is the largest", "Cache-Control: max-age=3600", "Age: 99999999999999999999"),
		{rfc: "9111 5.1", rule: "Age is not on what the origin just answered", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", `ETag: "v"`).want(200, "!Age"),
			get("Cache-Control: no-cache").reply(304).each().want(200, "!Age").tells("fwd=request"),
			request("POST").reply(200).each().want(200, "!Age"),
		}},
		{rfc: "9111 5.1", rule: "the Age of a caching origin goes on", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", "Age: 100").want(200, "Age: 100"),
		}},
		{rfc: "9110 6.6.1", rule: "a response without Date gets one", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", "!Date").want(200, "Date: *"),
			get().want(200, "Date: *", "Age: 0").hit(),
		}},
	}
}

// asked is a stored response with these fields and the request that then comes.
func asked(rfc, rule string, first []string, then step) row {
	return row{rfc: rfc, rule: rule, steps: []step{get().reply(200, append(first, `ETag: "v"`)...).each(), then}}
}

func demands() []row {
	fresh := []string{"Cache-Control: max-age=3600", "Age: 100"} // 3500 s left
	stale := []string{"Cache-Control: max-age=60", "Age: 100"}   // for 40 s
	with := func(s string) []string { return []string{"Cache-Control: max-age=60, " + s, "Age: 100"} }
	forwarded := func(why string, fields ...string) step {
		return get(fields...).reply(304, `ETag: "v"`).each().seen(`If-None-Match: "v"`).body("reply 1\n").tells("fwd="+why, "fwd-status=304")
	}
	hit := func(fields ...string) step { return get(fields...).body("reply 1\n").hit() }
	refused := func(fields ...string) step {
		return get(fields...).want(504, "Proxy-Status: edge; error=proxy_internal_response", "!Age").tells("detail=error", "!hit", "!fwd")
	}
	rows := []row{
		asked("9111 5.2.1.4", "no-cache", fresh, forwarded("request", "Cache-Control: no-cache")),
		asked("9111 5.4", "Pragma: no-cache", fresh, forwarded("request", "Pragma: no-cache")),
		asked("9111 5.4", "Pragma beside Cache-Control means nothing", fresh, hit("Pragma: no-cache", "Cache-Control: max-age=1000")),
		asked("9111 5.2.1.1", "max-age below the age", fresh, forwarded("request", "Cache-Control: max-age=50")),
		asked("9111 5.2.1.1", "max-age above the age", fresh, hit("Cache-Control: max-age=1000")),
		asked("9111 5.2.1.1", "max-age=0", []string{"Cache-Control: max-age=3600"}, forwarded("request", "Cache-Control: max-age=0")),
		asked("9111 5.2.1.1", "max-age above the age does not make it fresh", stale, forwarded("stale", "Cache-Control: max-age=1000")),
		asked("9111 5.2.1.3", "min-fresh above what is left", fresh, forwarded("request", "Cache-Control: min-fresh=3600")),
		asked("9111 5.2.1.3", "min-fresh below what is left", fresh, hit("Cache-Control: min-fresh=3000")),
		asked("9111 5.2.1.2", "max-stale takes any", stale, hit("Cache-Control: max-stale")),
		asked("9111 5.2.1.2", "max-stale above the staleness", stale, hit("Cache-Control: max-stale=1000")),
		asked("9111 5.2.1.2", "max-stale below the staleness", stale, forwarded("stale", "Cache-Control: max-stale=10")),
		asked("9111 5.2.1.7", "only-if-cached with something fresh", fresh, hit("Cache-Control: only-if-cached")),
		asked("9111 5.2.1.7", "only-if-cached with something stale", stale, refused("Cache-Control: only-if-cached")),
		asked("9111 5.2.1.7", "only-if-cached with something stale and max-stale", stale, hit("Cache-Control: only-if-cached, max-stale")),
		asked("9111 5.2.1.7", "only-if-cached with no-cache", fresh, refused("Cache-Control: only-if-cached, no-cache")),
		asked("9111 5.2.1.5", "no-store does not forbid to answer from the store", fresh, hit("Cache-Control: no-store")),
		asked("9111 5.2.3", "an unknown directive of a request", fresh, hit("Cache-Control: colour=blue")),
		{rfc: "9111 5.2.1.7", rule: "only-if-cached with nothing stored", steps: []step{refused("Cache-Control: only-if-cached")}},
		{rfc: "9111 4", rule: "the query is part of the key", steps: []step{
			get().at("/x?a").reply(200, "Cache-Control: max-age=3600"),
			get().at("/x?b").reply(200, "Cache-Control: max-age=3600").body("reply 2\n").tells("fwd=uri-miss"),
			get().at("/x?a").body("reply 1\n").hit(),
		}},
		{rfc: "9111 4", rule: "what is fresh answers HEAD too", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", "Content-Type: text/plain"),
			request("HEAD").want(200, "Content-Length: 8", "Content-Type: text/plain", "Age: *").body("").hit(),
		}},
	}
	for _, word := range []string{"must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"} {
		rows = append(rows, asked("9111 4.2.4", "max-stale does not overrule "+word, with(word), forwarded("stale", "Cache-Control: max-stale")))
	}
	return rows
}

// qualified: no-cache and private with the names of fields.
func qualified() []row {
	var rows []row
	for _, word := range []string{"no-cache", "private"} {
		rows = append(rows, row{rfc: "9111 5.2.2", rule: word + " with a field keeps that field out", alone: true, steps: []step{
			get().reply(200, "Cache-Control: max-age=3600, "+word+`="X-Secret, x-other"`, "X-Secret: s", "X-Other: o", "X-Open: o").
				want(200, "X-Secret: s", "X-Other: o", "X-Open: o").tells("stored"),
			get().want(200, "!X-Secret", "!X-Other", "X-Open: o").body("reply 1\n").hit(),
		}})
	}
	return rows
}
