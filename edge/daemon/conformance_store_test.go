package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Storing: RFC 9111 section 3, and the fields that make a response fresh or stale.

func TestStoring(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(storable(), notStorable(), authorized(), lifetimes(), targeted()))
}

func slicesOf(tables ...[]row) []row {
	var all []row
	for _, rows := range tables {
		all = append(all, rows...)
	}
	return all
}

// reused is a rule that makes a response answer the next request by itself.
func reused(rfc, rule string, fields ...string) row {
	return row{rfc: rfc, rule: rule, steps: []step{
		get().reply(200, fields...).tells("fwd=uri-miss", "stored", "!hit"),
		get().want(200, "Age: *").body("reply 1\n").hit(),
	}}
}

// refetched is a rule that keeps a response from being stored at all.
func refetched(rfc, rule string, fields ...string) row {
	return row{rfc: rfc, rule: rule, steps: []step{
		get().reply(200, fields...).each().tells("fwd=uri-miss", "!stored"),
		get().reply(200, fields...).each().seen("!If-None-Match", "!If-Modified-Since").want(200, "!Age").body("reply 2\n").tells("fwd=uri-miss"),
	}}
}

// validated is a rule that lets a response be stored and not be used without the
// origin's word.
func validated(rfc, rule string, fields ...string) row {
	return row{rfc: rfc, rule: rule, steps: []step{
		get().reply(200, append([]string{`ETag: "v"`}, fields...)...).each().tells("stored"),
		get().reply(304, `ETag: "v"`).each().seen(`If-None-Match: "v"`).body("reply 1\n").tells("fwd=stale", "fwd-status=304", "!hit", "!stored"),
	}}
}

func storable() []row {
	rows := []row{
		reused("9111 3", "a response with max-age is stored", "Cache-Control: max-age=3600"),
		reused("9111 5.2.2.10", "s-maxage makes a response storable", "Cache-Control: s-maxage=3600"),
		reused("9111 5.3", "Expires makes a response storable", "Expires: "+ahead(time.Hour)),
		reused("9111 5.2.2.9", "public, with a heuristic lifetime", "Cache-Control: public", "Last-Modified: "+ago(1000*time.Hour)),
		reused("9111 4.2.2", "a lifetime is guessed from Last-Modified", "Last-Modified: "+ago(1000*time.Hour)),
		reused("9111 5.2.2.3", "must-understand lifts no-store for a status that is understood", "Cache-Control: must-understand, no-store, max-age=3600"),
		reused("9111 5.2.3", "an unknown directive is ignored", "Cache-Control: max-age=3600, colour=blue"),
		reused("9111 5.2", "directives have no case", "Cache-Control: MAX-AGE=3600"),
		reused("9111 5.2", "a directive may be quoted", `Cache-Control: max-age="3600"`),
		reused("9111 5.2.2.1", "immutable is no reason not to store", "Cache-Control: max-age=3600, immutable"),
		reused("9110 5.2", "several lines are one list", "Cache-Control: public", "Cache-Control: max-age=3600"),
		validated("9111 3", "an ETag alone is worth storing"),
		validated("9111 5.2.2.4", "no-cache is stored and always validated", "Cache-Control: no-cache, max-age=3600"),
	}
	for _, status := range []int{200, 203, 300, 301, 302, 307, 308, 400, 404, 410, 414, 451, 500, 501, 503, 599} {
		steps := []step{
			get().reply(status, "Cache-Control: max-age=3600", "Location: /elsewhere").want(status).tells("stored", fmt.Sprintf("fwd-status=%d", status)),
			get().want(status, "Age: *").body("reply 1\n").hit(),
		}
		rows = append(rows, row{rfc: "9111 3", rule: fmt.Sprintf("a %d that states its lifetime is stored", status), brief: status == 404 || status == 410, steps: steps})
	}
	rows = append(rows, row{rfc: "9110 15.3.5", rule: "a 204 is stored without a body", steps: []step{
		get().reply(204, "Cache-Control: max-age=3600").want(204, "!Content-Length").tells("stored"),
		get().want(204, "!Content-Length").body("").hit(),
	}})
	return rows
}

func notStorable() []row {
	rows := []row{
		refetched("9111 5.2.2.5", "no-store", "Cache-Control: no-store, max-age=3600", `ETag: "v"`),
		refetched("9111 5.2.2.5", "no-store among others, in capitals", "Cache-Control: max-age=3600, NO-STORE"),
		refetched("9111 5.2.2.7", "private", "Cache-Control: private, max-age=3600"),
		refetched("9111 5.2.2.7", "private with an argument that names nothing", `Cache-Control: private="", max-age=3600`),
		refetched("9111 4.1", "Vary: *", "Vary: *", "Cache-Control: max-age=3600"),
		refetched("9111 4.1", "Vary with * among names", "Vary: Accept, *", "Cache-Control: max-age=3600"),
		refetched("9111 3", "nothing said, and nothing to validate with"),
		{rfc: "9111 5.2.1.5", rule: "a request with no-store leaves nothing behind", steps: []step{
			get("Cache-Control: no-store").reply(200, "Cache-Control: max-age=3600").each().tells("!stored"),
			get().reply(200, "Cache-Control: max-age=3600").tells("fwd=uri-miss"),
		}},
		{rfc: "9111 5.2.2.3", rule: "must-understand keeps a status that is not understood out", steps: []step{
			get().reply(499, "Cache-Control: must-understand, max-age=3600").each().want(499).tells("!stored"),
			get().reply(499, "Cache-Control: must-understand, max-age=3600").each().want(499).body("reply 2\n"),
		}},
		{rfc: "9111 3", rule: "no-cache makes no status storable that is not by itself", steps: []step{
			get().reply(500, "Cache-Control: no-cache", `ETag: "v"`).each().want(500).tells("!stored"),
			get().reply(500, "Cache-Control: no-cache", `ETag: "v"`).each().seen("!If-None-Match").want(500).body("reply 2\n"),
		}},
		{rfc: "9111 3.3", rule: "a body that broke off is not stored", alone: true, steps: []step{
			get().reply(200, "Cache-Control: max-age=3600").short(3),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 2\n").tells("stored"),
		}},
		{rfc: "9112 8", rule: "a chunked body that broke off is not stored", alone: true, steps: []step{
			get().reply(200, "Cache-Control: max-age=3600").chunked().short(3),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 2\n").tells("stored"),
		}},
	}
	for _, status := range []int{413, 416, 428, 429, 431, 511} {
		rows = append(rows, row{rfc: "6585 3", rule: fmt.Sprintf("a %d is about its request, and not stored", status), steps: []step{
			get().reply(status, "Cache-Control: max-age=3600").each().want(status).tells("!stored"),
			get().reply(status, "Cache-Control: max-age=3600").each().want(status).body("reply 2\n"),
		}})
	}
	for _, field := range []string{"Foo: " + strings.Repeat("a", 2<<10), "Foo: \xff", "Accept: a\tb"} {
		rows = append(rows, row{rfc: "9111 3", rule: "a 400 or 414 that odd fields may have provoked is not stored", steps: []step{
			get(field).reply(400, "Cache-Control: max-age=3600").each().want(400).tells("!stored"),
			get(field).reply(414, "Cache-Control: max-age=3600").each().want(414).tells("!stored"),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 3\n"),
		}})
	}
	for _, status := range []int{201, 202, 302, 307, 403, 500, 503} {
		rows = append(rows, row{rfc: "9110 15.1", rule: fmt.Sprintf("a %d is not stored on a guess", status), steps: []step{
			get().reply(status, "Last-Modified: "+ago(1000*time.Hour), `ETag: "v"`).each().want(status).tells("!stored"),
			get().reply(status, "Last-Modified: "+ago(1000*time.Hour), `ETag: "v"`).each().want(status).body("reply 2\n"),
		}})
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "PROPFIND"} {
		rows = append(rows, row{rfc: "9111 3", rule: "the response to " + method + " is not stored", steps: []step{
			request(method).reply(200, "Cache-Control: max-age=3600").each().want(200, "!Age").tells("fwd=method", "!stored"),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 2\n").tells("stored"),
		}})
	}
	return rows
}

func authorized() []row {
	const token = "Authorization: Bearer t"
	var rows []row
	for _, why := range []string{"public", "must-revalidate", "s-maxage=3600"} {
		rows = append(rows, row{rfc: "9111 3.5", rule: why + " allows to store a response to Authorization", steps: []step{
			get(token).reply(200, "Cache-Control: max-age=3600, "+why).each().seen(token).tells("stored"),
			get().body("reply 1\n").hit(),
			get(token).body("reply 1\n").hit(),
		}})
	}
	return append(rows,
		row{rfc: "9111 3.5", rule: "a response to Authorization is its sender's", steps: []step{
			get(token).reply(200, "Cache-Control: max-age=3600").each().seen(token).tells("!stored"),
			get().reply(200, "Cache-Control: max-age=3600").seen("!Authorization").body("reply 2\n").tells("stored"),
		}},
		row{rfc: "9111 3.5", rule: "proxy-revalidate does not allow it", steps: []step{
			get(token).reply(200, "Cache-Control: max-age=3600, proxy-revalidate").each().tells("!stored"),
			get().reply(200).each().body("reply 2\n"),
		}},
	)
}

func lifetimes() []row {
	day := 24 * time.Hour
	return []row{
		validated("9111 4.2.1", "max-age=0 is stale at once", "Cache-Control: max-age=0"),
		validated("9111 4.2.1", "s-maxage wins over max-age and Expires", "Cache-Control: max-age=3600, s-maxage=0", "Expires: "+ahead(day)),
		validated("9111 4.2.1", "max-age wins over Expires", "Cache-Control: max-age=0", "Expires: "+ahead(day)),
		reused("9111 5.3", "max-age wins over an Expires that has passed", "Cache-Control: max-age=3600", "Expires: "+ago(day)),
		validated("9111 5.3", "Expires that has passed", "Expires: "+ago(day)),
		validated("9111 5.3", "Expires: 0 has passed", "Expires: 0"),
		validated("9111 5.3", "Expires in another zone is invalid", "Expires: "+ahead(day)[:26]+"PST"),
		validated("9111 5.3", "Expires without a zone is invalid", "Expires: "+ahead(day)[:25]),
		validated("9111 5.3", "Expires with one digit for the day is invalid", "Expires: Thu, 1 Jan 2099 00:00:00 GMT"),
		validated("9111 5.3", "two Expires are invalid", "Expires: "+ahead(day), "Expires: "+ahead(day)),
		validated("9111 5.3", "Expires counts from Date, not from now", "Date: "+ahead(2*day), "Expires: "+ahead(day)),
		reused("9111 5.3", "Expires counts from Date, which may be behind", "Date: "+ago(time.Minute), "Expires: "+ahead(day)),
		reused("9110 5.6.7", "Expires in the form of RFC 850", "Expires: "+time.Now().Add(day).UTC().Format("Monday, 02-Jan-06 15:04:05")+" GMT"),
		reused("9110 5.6.7", "Expires in the form of asctime", "Expires: "+time.Now().Add(day).UTC().Format(time.ANSIC)),
		validated("9111 4.2.1", "max-age that is no number", "Cache-Control: max-age=soon"),
		validated("9111 4.2.1", "max-age with a sign", "Cache-Control: max-age=-3600"),
		validated("9111 4.2.1", "max-age with a fraction", "Cache-Control: max-age=3600.5"),
		validated("9111 4.2.1", "max-age without a number", "Cache-Control: max-age"),
		validated("9111 5.2", "a space before = makes another directive", "Cache-Control: max-age =3600"),
		validated("9111 4.2.1", "of two max-age the smaller", "Cache-Control: max-age=3600, max-age=0"),
		reused("9111 1.2.2", "max-age beyond what fits", "Cache-Control: max-age=99999999999999999999"),
		validated("9111 5.4", "Pragma in a response means nothing", "Pragma: max-age=3600"),
		reused("9111 5.4", "Pragma: no-cache in a response means nothing", "Pragma: no-cache", "Cache-Control: max-age=3600"),
		{rfc: "9111 4.2.2", rule: "a guess is a day at most", steps: []step{
			get().reply(200, "Last-Modified: "+ago(9000*day)).tells("stored", "ttl=86400"),
		}},
		{rfc: "9111 4.2.2", rule: "a guess is a tenth of the time since Last-Modified", steps: []step{
			get().reply(200, "Last-Modified: "+ago(100*time.Hour)).tells("ttl=36000"),
		}},
		validated("9111 4.2.2", "Last-Modified that is no date leads to no guess", "Last-Modified: yesterday"),
		validated("9111 4.2.2", "nothing is guessed where a lifetime is stated", "Last-Modified: "+ago(1000*day), "Cache-Control: max-age=0"),
		{rfc: "9111 4.2.2", rule: "a guess does not last beyond it", steps: []step{
			get().reply(200, "Last-Modified: "+ago(100*time.Hour), "Age: 40000", `ETag: "v"`).each(),
			get().reply(304).each().seen(`If-None-Match: "v"`).body("reply 1\n").tells("fwd=stale"),
		}},
	}
}

func targeted() []row {
	stale := "Cache-Control: max-age=0, no-store"
	return []row{
		reused("9213 2.2", "CDN-Cache-Control wins over Cache-Control", "CDN-Cache-Control: max-age=3600", stale),
		reused("9213 2.2", "and over Expires", "CDN-Cache-Control: max-age=3600", "Expires: 0"),
		refetched("9213 2.2", "also where it is stricter", "CDN-Cache-Control: no-store", "Cache-Control: max-age=3600"),
		refetched("9213 2.2", "private", "CDN-Cache-Control: private", "Cache-Control: max-age=3600"),
		validated("9213 2.2", "without lifetime, nothing else gives one", "CDN-Cache-Control: must-revalidate", "Cache-Control: max-age=3600"),
		reused("9213 2.1", "parameters are ignored", "CDN-Cache-Control: max-age=3600;a=b", stale),
		reused("9213 2.1", "an unknown directive is ignored", "CDN-Cache-Control: max-age=3600, a=b", stale),
		reused("9213 2.1", "a false directive is not there", "CDN-Cache-Control: max-age=3600, no-store=?0", stale),
		reused("9213 2.1", "one that is no structured field is not there", "CDN-Cache-Control: max-age=3600, &&&", "Cache-Control: max-age=3600"),
		refetched("9213 2.1", "one that is no structured field does not count", "CDN-Cache-Control: max-age=3600, &&&", "Cache-Control: no-store"),
		refetched("9213 2.1", "nor one with a string for a number", `CDN-Cache-Control: max-age="3600"`, "Cache-Control: no-store"),
		refetched("9213 2.1", "nor one that is empty", "CDN-Cache-Control: ", "Cache-Control: no-store"),
		{rfc: "9213 3.1", rule: "the field goes on to the client", steps: []step{
			get().reply(200, "CDN-Cache-Control: max-age=3600").want(200, "CDN-Cache-Control: max-age=3600"),
			get().want(200, "CDN-Cache-Control: max-age=3600").hit(),
		}},
	}
}
