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
// # Authority
//
// With [Config.Token], a request that changes state carries it as a bearer token
// (RFC 6750 §2.1). Without a token only this machine is trusted: a request that
// changes state must come from a loopback address, and no request at all is answered
// whose Host is neither loopback nor the listener's own address, since a web page can
// point a name of its own at 127.0.0.1 and have the browser on this machine send
// requests (DNS rebinding).
//
// With a token, reading needs it in two cases:
//
//   - /why and /events name packages, private ones too: they need it, but for a request
//     from this machine to a loopback name that no proxy has sent on;
//   - /status and /metrics need it where the Host is a name with a dot, other than the
//     listener's own, which may be a stranger's that points here. An address, or a name
//     without a dot, is not.
//
// / says nothing of this edge, and /healthz and /readyz next to nothing: they need no
// token under any name. A request that a page of another origin has a browser send is
// refused, with a token and without, but for a link that leads here; one that would change
// state is refused in each case ([http.CrossOriginProtection]).
//
// Each change is answered with JSON that describes it, and each refusal with
// {"error": "…"}, one line that names the fix. A configuration that is refused has
// a list of "mistakes" besides. /healthz, /readyz and / are text.
//
// The package changes nothing itself: [Purger], [Drainer] and [Reloader] are
// implemented by the edge, and by [Client] for an edge elsewhere. Its one lock
// guards the labels of a metric, and nothing is called under it but Prometheus.
package admin
