// Package admin is the API for operators, on a listener of its own: for people,
// load balancers and metrics collectors. It has the server and a client.
//
//	GET  /         the page of package page for a browser, for others a list as text
//	GET  /events   the stream of that page
//	GET  /healthz  200 as long as the process answers
//	GET  /readyz   200, or 503 and the reason: starting, draining
//	GET  /metrics  Prometheus text
//	GET  /status   JSON
//	POST /purge    forget a package, a URL, a site, or all
//	POST /masters/{site}/{n}/drain, …/undrain
//	POST /reload   read the configuration again
//
// # Authority to change state
//
// With [Config.Token], a request that changes state carries it as a bearer token
// (RFC 6750 §2.1). Reading needs no token. Without a token only this machine is
// trusted: a request that changes state must come from a loopback address. And no
// request at all is answered whose Host is neither loopback nor the listener's own
// address, since a web page can point a name of its own at 127.0.0.1 and have the
// browser on this machine send requests (DNS rebinding). A cross-site request from
// a browser that would change state is refused in both cases
// ([http.CrossOriginProtection]).
//
// Each change is answered with JSON that describes it, and each refusal with
// {"error": "…"}, one line that names the fix. A configuration that is refused has
// a list of "mistakes" besides. /healthz, /readyz and / are text.
//
// The package changes nothing itself: [Purger], [Drainer] and [Reloader] are
// implemented by the edge, and by [Client] for an edge elsewhere. Its one lock
// guards the labels of a metric, and nothing is called under it but Prometheus.
package admin
