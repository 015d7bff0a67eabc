package daemon

import (
	"net/http"
	"strings"
	"testing"
)

// The fields that are passed on between client and origin, and those that are not
// (RFC 9110 sections 7.6 and 15.2, RFC 9111 section 3.1).

func TestFields(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(responseFields(), requestFields(), interims()))
}

func responseFields() []row {
	const cc = "Cache-Control: max-age=3600"
	hops := []string{
		"Connection: X-Hop, x-other", "X-Hop: 1", "X-Other: 1", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
		"Proxy-Authenticate: Basic", "Proxy-Authentication-Info: a=b", "Te: trailers", "Upgrade: h2c", "X-End: 1",
	}
	none := []string{
		"!Connection", "!X-Hop", "!X-Other", "!Keep-Alive", "!Proxy-Connection", "!Proxy-Authenticate",
		"!Proxy-Authentication-Info", "!Te", "!Upgrade", "X-End: 1",
	}
	return []row{
		{rfc: "9110 7.6.1", rule: "what concerns the origin's connection ends at the edge", steps: []step{
			get().reply(200, append(hops, cc)...).want(200, none...),
			get().want(200, none...).body("reply 1\n").hit(),
		}},
		{rfc: "9110 7.6.1", rule: "also on what is not stored", steps: []step{
			get().reply(200, append(hops, "Cache-Control: no-store")...).each().want(200, none...),
		}},
		{rfc: "9110 7.6.1", rule: "also on what is passed", steps: []step{request("POST").reply(200, hops...).each().want(200, none...)}},
		{rfc: "9110 7.6.1", rule: "also on a 304", steps: []step{
			get().reply(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "v"`).each(),
			get().reply(304, hops...).want(200, none...),
			get().want(200, none...).hit(),
		}},
		{rfc: "9111 3.1", rule: "unknown fields are stored, each line as it came", steps: []step{
			get().reply(200, cc, "X-A: 1", "X-A: 2", "X-Empty: ", "Content-Language: de", "Link: </a>; rel=b").
				want(200, "X-A: 1, 2", "X-Empty: ", "Content-Language: de", "Link: </a>; rel=b"),
			get().want(200, "X-A: 1, 2", "X-Empty: ", "Content-Language: de", "Link: </a>; rel=b", cc).hit(),
		}},
		{rfc: "9111 7.3", rule: "Set-Cookie is for the first client alone", alone: true, steps: []step{
			get().reply(200, cc, "Set-Cookie: id=1").want(200, "Set-Cookie: id=1").tells("stored"),
			get().want(200, "!Set-Cookie").body("reply 1\n").hit(),
		}},
		{rfc: "9110 7.6.3", rule: "Via names every hop", steps: []step{
			get().reply(200, cc, "Via: 1.1 inner").want(200, "Via: 1.1 inner, 1.1 edge"),
			get().want(200, "Via: 1.1 inner, 1.1 edge").hit(),
			request("POST").reply(200, "Via: 1.1 inner").each().want(200, "Via: 1.1 inner, 1.1 edge"),
		}},
		{rfc: "9211 2", rule: "the edge's member comes after those of caches nearer the origin", steps: []step{
			get().reply(200, cc, "Cache-Status: inner; hit").tells("fwd=uri-miss"),
		}},
		{rfc: "9110 8.3", rule: "no Content-Type is guessed", steps: []step{
			get().reply(200, cc).with("<html>").want(200, "!Content-Type"),
			get().want(200, "!Content-Type").hit(),
			request("POST").reply(200).with("<html>").each().want(200, "!Content-Type"),
		}},
		{rfc: "9110 8.6", rule: "a length that the origin left open is known once the body has ended", steps: []step{
			get().reply(200, cc).chunked().body("reply 1\n"),
			get().want(200, "Content-Length: 8").body("reply 1\n").hit(),
		}},
		{rfc: "9110 8.4", rule: "a content coding is kept as it is", steps: []step{
			get("Accept-Encoding: gzip").reply(200, cc, "Content-Encoding: gzip", "Vary: Accept-Encoding").with("\x1f\x8b").want(200, "Content-Encoding: gzip"),
			get("Accept-Encoding: gzip").want(200, "Content-Encoding: gzip").body("\x1f\x8b").hit(),
		}},
		{rfc: "9110 7.7", rule: "no-transform goes on, and the content as it came", steps: []step{
			get("Accept-Encoding: zstd, gzip").reply(200, "Cache-Control: max-age=60, no-transform", "Content-Type: text/plain").
				want(200, "Cache-Control: max-age=60, no-transform", "!Content-Encoding").body("reply 1\n"),
			get("Accept-Encoding: zstd").want(200, "Cache-Control: max-age=60, no-transform", "!Content-Encoding").body("reply 1\n").hit(),
		}},
		{rfc: "9110 10.2.2", rule: "a Location on the origin stays a path", steps: []step{
			get().reply(301, cc, "Location: /y?a#b").want(301, "Location: /y?a#b"),
			get().want(301, "Location: /y?a#b").hit(),
		}},
	}
}

func requestFields() []row {
	hops := []string{
		"Connection: X-Hop, x-other", "X-Hop: 1", "X-Other: 1", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
		"Proxy-Authorization: Basic YTpi", "Te: trailers", "X-End: 1",
	}
	none := []string{
		"!X-Hop", "!X-Other", "!Keep-Alive", "!Proxy-Connection", "!Proxy-Authorization", "X-End: 1", "Via: *", "Cdn-Loop: *",
	}
	const cc = "Cache-Control: max-age=3600"
	return []row{
		{rfc: "9110 7.6.1", rule: "what concerns the client's connection ends at the edge", steps: []step{
			get(hops...).reply(200, cc).seen(none...),
		}},
		{rfc: "9110 7.6.1", rule: "also with a validation", steps: []step{
			get().reply(200, "Cache-Control: max-age=60", "Age: 100", `ETag: "v"`).each(), get(hops...).reply(304).seen(none...),
		}},
		{rfc: "9110 7.6.1", rule: "also with HEAD", steps: []step{request("HEAD", hops...).reply(200, cc).each().seen(none...)}},
		{rfc: "9110 7.6.1", rule: "also with what is passed", steps: []step{
			request("POST", hops...).reply(200).each().seen(none...),
			get(append(hops, `If-Match: "v"`)...).reply(200).each().seen(none...),
		}},
		{rfc: "9110 7.6.1", rule: "Connection cannot take the edge's own fields away", steps: []step{
			get("Connection: Via, CDN-Loop").reply(200, cc).seen("Via: *", "Cdn-Loop: *"),
			request("POST", "Connection: Via, CDN-Loop").reply(200).each().seen("Via: *", "Cdn-Loop: *"),
		}},
		{rfc: "9110 7.6.3", rule: "Via and CDN-Loop grow", steps: []step{
			get("Via: 1.1 before", "CDN-Loop: before").reply(200, cc).seen("Via: *", "Cdn-Loop: *"),
		}},
		{rfc: "9111 3", rule: "end-to-end fields go to the origin", steps: []step{
			get("Accept: text/plain", "Accept-Language: de", "User-Agent: test", "X-A: 1", "X-A: 2").reply(200, cc).
				seen("Accept: text/plain", "Accept-Language: de", "User-Agent: test", "X-A: 1, 2"),
		}},
		{rfc: "W3C 3", rule: "a well-formed trace goes on", steps: []step{
			get("Traceparent: "+traceparent, "Tracestate: a=b").reply(200, cc).seen("Traceparent: "+traceparent, "Tracestate: a=b"),
			request("POST", "Traceparent: "+traceparent).reply(200).each().seen("Traceparent: "+traceparent, "!Tracestate"),
		}},
		{rfc: "W3C 3", rule: "and no other one", steps: []step{
			get("Traceparent: 1", "Tracestate: a=b").reply(200, cc).seen("!Traceparent", "!Tracestate"),
			request("POST", "Traceparent: "+traceparent, "Traceparent: "+traceparent, "Tracestate: a=b").reply(200).each().seen("!Traceparent", "!Tracestate"),
		}},
		{rfc: "9111 7.3", rule: "a cookie does not shape what is shared", steps: []step{
			get("Cookie: id=1").reply(200, cc).seen("!Cookie"),
			request("POST", "Cookie: id=1").reply(200).each().seen("Cookie: id=1"),
		}},
		{rfc: "9111 7.1", rule: "nor do fields that some origins write URLs with, or act on", steps: []step{
			get(misleading...).reply(200, cc).seen(noneOf(misleading)...),
			get("Foo: 1", "Accept-Language: de").want(200).body("reply 1\n").hit(),
		}},
		{rfc: "9111 7.1", rule: "also with HEAD", steps: []step{
			request("HEAD", misleading...).reply(200, cc).each().seen(noneOf(misleading)...),
		}},
		{rfc: "9110 7.6", rule: "none that pretends another way or request is passed", steps: []step{
			request("POST", pretending...).reply(200).each().seen(noneOf(pretending)...),
			get(append(pretending, `If-Match: "v"`)...).reply(200).each().seen(noneOf(pretending)...),
			request("POST", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: gopher").reply(200).each().seen("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http"),
		}},
		{rfc: "9110 7.8", rule: "no upgrade is asked of an origin", steps: []step{
			request("POST", "Connection: Upgrade", "Upgrade: websocket").reply(200).each().seen("!Upgrade"),
			get("Connection: Upgrade", "Upgrade: websocket").reply(200, cc).seen("!Upgrade"),
		}},
		{rfc: "9111 4.1", rule: "the answer to one web origin is not another's, nor anybody's without one", steps: []step{
			get("Origin: https://a.example").reply(200, cc, "Access-Control-Allow-Origin: https://a.example").seen("Origin: https://a.example").tells("stored"),
			get().reply(200, cc).tells("fwd=vary-miss", "stored").body("reply 2\n"),
			get("Origin: https://b.example").reply(200, cc, "Access-Control-Allow-Origin: https://b.example").want(200, "Access-Control-Allow-Origin: https://b.example").body("reply 3\n"),
			get("Origin: https://a.example").want(200, "Access-Control-Allow-Origin: https://a.example").body("reply 1\n").hit(),
			get().want(200, "!Access-Control-Allow-Origin").body("reply 2\n").hit(),
		}},
		{rfc: "6585 5", rule: "fields of more than 8 KiB go to no origin, and those that do not go forward are not counted", alone: true, steps: []step{
			get("Foo: "+strings.Repeat("a", 9<<10)).want(431, "Cache-Status: edge; detail=refused"),
			get("Cookie: "+strings.Repeat("a", 9<<10)).reply(200, cc).want(200),
		}},
		{rfc: "9110 9.3.3", rule: "the response to a POST with fields that no fetch has is not stored for GET", steps: []step{
			request("POST", "X-Any: evil.example").at("/post").reply(200, cc, "Content-Location: /post").each(),
			get().at("/post").reply(200, cc).body("reply 2\n").tells("fwd=uri-miss"),
		}},
	}
}

// misleading are fields that do not go to an origin with a fetch, pretending those of them
// that are not passed either.
var pretending = []string{
	"X_Forwarded_Host: evil.example", "X.Forwarded.Host: evil.example", "Foo_Bar: 1", "Forwarded: host=evil.example", "X-Original-URL: /admin", "X-Original-Host: evil.example",
	"X-Rewrite-URL: /admin", "X-HTTP-Host-Override: evil.example", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Host: evil.example", "X-Real-IP: 192.0.2.1",
	"True-Client-IP: 192.0.2.1", "CF-Connecting-IP: 192.0.2.1", "X-Client-IP: 192.0.2.1", "Proxy: http://evil.example", "X-Forwarded-Prefix: /evil", "X-Forwarded-Scheme: nothttps",
}

var misleading = append(pretending[:len(pretending):len(pretending)],
	"X-Forwarded-Host: evil.example", "X-Forwarded-Server: evil.example", "X-Forwarded-Proto: gopher", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Port: 1", "Front-End-Https: on",
	"X-Url-Scheme: http", "X-Backend-Server: evil", "Destination: /evil", "Content-Type: evil", "Referer: https://evil.example/", "Surrogate-Capability: a=\"ESI/1.0\"",
	"X-Wap-Profile: http://evil.example/", "Sec-Fetch-Site: cross-site", "Upgrade-Insecure-Requests: 1", "Base-Url: //evil.example", "Range-Unit: items", "X-Script-Name: /evil",
)

// noneOf says that none of the fields is there.
func noneOf(fields []string) []string {
	none := make([]string, len(fields))
	for i, f := range fields {
		name, _, _ := strings.Cut(f, ":")
		none[i] = "!" + http.CanonicalHeaderKey(name)
	}
	return none
}

func interims() []row {
	const cc = "Cache-Control: max-age=3600"
	return []row{
		{rfc: "9110 15.2", rule: "an interim response goes on at once and is not stored", steps: []step{
			get().reply(200, cc).hints("</a>; rel=preload").want(200, "!Link").tells("stored"),
			get().want(200, "!Link").body("reply 1\n").hit(),
		}},
		{rfc: "9110 15.2", rule: "several interim responses", steps: []step{get().reply(200, cc).hints("</a>", "</b>").want(200, "!Link")}},
		{rfc: "9110 15.2", rule: "an interim response to what is passed", steps: []step{
			request("POST").reply(200).hints("</a>").each().want(200),
		}},
	}
}
