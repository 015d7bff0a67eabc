package daemon

import (
	"fmt"
	"net/http"
	"testing"
)

// The stored response that a request selects, and the effect of other requests on
// it (RFC 9111 sections 4.1, 4.3.5 and 4.4).

func TestSelection(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(selections(), invalidations(), heads()))
}

// same and other are rows in which Vary and two requests' fields select one stored
// response, or two.
func same(rule, vary string, first, second []string) row {
	return row{rfc: "9111 4.1", rule: rule, steps: []step{
		get(first...).reply(200, "Cache-Control: max-age=3600", "Vary: "+vary),
		get(second...).want(200, "Vary: "+vary).body("reply 1\n").hit(),
	}}
}

func other(rule, vary string, first, second []string) row {
	const cc = "Cache-Control: max-age=3600"
	return row{rfc: "9111 4.1", rule: rule, steps: []step{
		get(first...).reply(200, cc, "Vary: "+vary),
		get(second...).reply(200, cc, "Vary: "+vary).body("reply 2\n").tells("fwd=vary-miss", "stored"),
		get(first...).body("reply 1\n").hit(),
		get(second...).body("reply 2\n").hit(),
	}}
}

func selections() []row {
	f := func(fields ...string) []string { return fields }
	const cc = "Cache-Control: max-age=3600"
	return []row{
		same("equal values", "X-A", f("X-A: 1"), f("X-A: 1")),
		same("both without the field", "X-A", nil, nil),
		same("names have no case", "x-a", f("X-A: 1"), f("x-a: 1")),
		same("other fields do not count", "X-A", f("X-A: 1", "X-B: 1"), f("X-A: 1", "X-B: 2")),
		same("lines are one list", "X-A", f("X-A: 1, 2"), f("X-A: 1", "X-A: 2")),
		same("white space around members", "X-A", f("X-A: 1,2"), f("X-A: 1 ,  2")),
		same("Accept-Encoding in another order", "Accept-Encoding", f("Accept-Encoding: gzip, br"), f("Accept-Encoding: br,gzip")),
		same("Accept-Encoding in another case", "Accept-Encoding", f("Accept-Encoding: gzip"), f("Accept-Encoding: GZIP")),
		same("Accept with other white space", "Accept", f("Accept: a/b; q=0.5"), f("Accept: a/b;q=0.5")),
		other("different values", "X-A", f("X-A: 1"), f("X-A: 2")),
		other("a value and none", "X-A", f("X-A: 1"), nil),
		other("none and a value", "X-A", nil, f("X-A: 1")),
		other("case counts where nothing is known of the field", "X-A", f("X-A: a"), f("X-A: A")),
		other("order counts where nothing is known of the field", "X-A", f("X-A: 1, 2"), f("X-A: 2, 1")),
		other("every named field must match", "X-A, X-B", f("X-A: 1", "X-B: 1"), f("X-A: 1", "X-B: 2")),
		other("another weight", "Accept-Language", f("Accept-Language: de;q=0.5, en"), f("Accept-Language: de, en;q=0.5")),
		{rfc: "9111 4.1", rule: "Vary in several lines", steps: []step{
			get("X-A: 1", "X-B: 1").reply(200, cc, "Vary: X-A", "Vary: X-B"),
			get("X-A: 1", "X-B: 2").reply(200, cc, "Vary: X-A", "Vary: X-B").body("reply 2\n").tells("fwd=vary-miss"),
			get("X-A: 1", "X-B: 1").body("reply 1\n").hit(),
		}},
		{rfc: "9111 4.1", rule: "the language that a request likes best", steps: []step{
			get("Accept-Language: de, en;q=0.5").reply(200, cc, "Vary: Accept-Language", "Content-Language: de"),
			get("Accept-Language: fr;q=0.2, de;q=0.8").body("reply 1\n").hit(),
			get("Accept-Language: en").reply(200, cc, "Vary: Accept-Language", "Content-Language: en").body("reply 2\n"),
		}},
		{rfc: "9111 4.1", rule: "each of three is found again", steps: []step{
			get("X-A: 1").reply(200, cc, "Vary: X-A"),
			get("X-A: 2").reply(200, cc, "Vary: X-A"),
			get("X-A: 3").reply(200, cc, "Vary: X-A"),
			get("X-A: 2").body("reply 2\n").hit(),
			get("X-A: 1").body("reply 1\n").hit(),
			get("X-A: 3").body("reply 3\n").hit(),
		}},
		{rfc: "9111 4.1", rule: "each is validated by itself", steps: []step{
			get("X-A: 1").reply(200, "Cache-Control: no-cache", "Vary: X-A", `ETag: "1"`).each(),
			get("X-A: 2").reply(200, "Cache-Control: no-cache", "Vary: X-A", `ETag: "2"`).each(),
			get("X-A: 1").reply(304).each().seen(`If-None-Match: "1"`, "X-A: 1").body("reply 1\n"),
			get("X-A: 2").reply(304).each().seen(`If-None-Match: "2"`, "X-A: 2").body("reply 2\n"),
		}},
	}
}

func invalidations() []row {
	const cc = "Cache-Control: max-age=3600"
	store := get().reply(200, cc, `ETag: "x"`)
	storeY := get().at("/y").reply(200, cc, `ETag: "y"`)
	gone := get().reply(304).seen(`If-None-Match: "x"`).body("reply 1\n").tells("fwd=stale", "fwd-status=304")
	kept := get().body("reply 1\n").hit()
	goneY := get().at("/y").reply(304).seen(`If-None-Match: "y"`).body("reply 2\n").tells("fwd=stale")
	keptY := get().at("/y").body("reply 2\n").hit()
	var rows []row
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH"} {
		for _, status := range []int{200, 204, 201, 303} {
			rows = append(rows, row{rfc: "9111 4.4", rule: fmt.Sprintf("%s that ends in %d", method, status), steps: []step{
				store, request(method).reply(status).each().want(status).tells("fwd=method"), gone, kept,
			}})
		}
		for _, status := range []int{404, 500} {
			rows = append(rows, row{rfc: "9111 4.4", rule: fmt.Sprintf("%s that ends in %d changes nothing", method, status), steps: []step{
				store, request(method).reply(status).each().want(status), kept,
			}})
		}
	}
	for _, method := range []string{http.MethodOptions} {
		rows = append(rows, row{rfc: "9111 4.4", rule: method + " is safe", steps: []step{
			store, request(method).reply(200).each(), kept,
		}})
	}
	for _, name := range []string{"Location", "Content-Location"} {
		rows = append(rows,
			row{rfc: "9111 4.4", rule: name + " of the same origin goes too", steps: []step{
				store, storeY, request("POST").reply(201, name+": /y").each().want(201, name+": /y"), gone, goneY,
			}},
			row{rfc: "9111 4.4", rule: name + " of another origin does not", steps: []step{
				store, storeY, request("POST").reply(201, name+": http://other.example/y").each().want(201, name+": http://other.example/y"), gone, keptY,
			}},
			row{rfc: "9111 4.4", rule: name + " of a failed request does not", steps: []step{
				store, storeY, request("POST").reply(400, name+": /y").each().want(400), kept, keptY,
			}},
		)
	}
	return append(rows,
		row{rfc: "9111 4.4", rule: "every variant goes", steps: []step{
			get("X-A: 1").reply(200, cc, "Vary: X-A", `ETag: "1"`),
			get("X-A: 2").reply(200, cc, "Vary: X-A", `ETag: "2"`),
			request("POST").reply(204).each().want(204),
			get("X-A: 1").reply(304).seen(`If-None-Match: "1"`).body("reply 1\n"),
			get("X-A: 2").reply(304).seen(`If-None-Match: "2"`).body("reply 2\n"),
		}},
		row{rfc: "9110 9.3.3", rule: "the response to POST that describes GET is kept for it", alone: true, steps: []step{
			request("POST").reply(200, cc, "Content-Location: /x"),
			get().body("reply 1\n").hit(),
		}},
		row{rfc: "9110 9.3.3", rule: "and not when it describes another URL", alone: true, steps: []step{
			request("POST").reply(200, cc, "Content-Location: /y"),
			get().reply(200, cc).body("reply 2\n").tells("fwd=uri-miss"),
		}},
		row{rfc: "9110 9.3.3", rule: "nor without a lifetime", alone: true, steps: []step{
			request("POST").reply(200, "Content-Location: /x"),
			get().reply(200, cc).body("reply 2\n").tells("fwd=uri-miss"),
		}},
	)
}

func heads() []row {
	head := func(fields ...string) step { return request(http.MethodHead, fields...).body("") }
	stale := get().reply(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "v"`, "X-A: old").each()
	return []row{
		{rfc: "9111 4.3.5", rule: "HEAD renews what it describes", steps: []step{
			stale,
			head().reply(200, "Cache-Control: max-age=3600", `ETag: "v"`, "X-A: new").each().want(200, "X-A: new", "Content-Length: 8"),
			get().want(200, "X-A: new", "Cache-Control: max-age=3600").body("reply 1\n").hit(),
		}},
		{rfc: "9111 4.3.5", rule: "HEAD with another ETag makes it stale", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", `ETag: "v"`),
			head("Cache-Control: no-cache").reply(200, "Cache-Control: max-age=3600", `ETag: "w"`).each().tells("fwd=request"),
			get().reply(200, "Cache-Control: max-age=3600", `ETag: "w"`).seen(`If-None-Match: "v"`).body("reply 3\n").tells("fwd=stale"),
		}},
		{rfc: "9111 4.3.5", rule: "HEAD with another length makes it stale", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600"),
			head("Cache-Control: no-cache").reply(200, "Cache-Control: max-age=3600").with("longer than that").each(),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 3\n").tells("fwd=stale"),
		}},
		{rfc: "9111 4.3.5", rule: "HEAD that fails changes nothing", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600"),
			head("Cache-Control: no-cache").reply(404).each().want(404),
			get().body("reply 1\n").hit(),
		}},
		{rfc: "9111 3", rule: "the response to HEAD is not one to GET", steps: []step{
			head().reply(200, "Cache-Control: max-age=3600").each().want(200, "Content-Length: 8").tells("fwd=uri-miss", "!stored"),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 2\n").tells("stored"),
			head().want(200, "Content-Length: 8").hit(),
		}},
	}
}
