// Package admin is the second listener: what an operator, a load balancer and a
// metrics collector ask the edge, and the few things they may tell it.
//
//	GET  /healthz  200 as long as the process answers
//	GET  /readyz   200, or 503 and the reason: starting, draining
//	GET  /metrics  Prometheus text
//	GET  /status   JSON
//	POST /purge    forget a package, a URL, a site, or all
//	POST /masters/{site}/{n}/drain, …/undrain
//	POST /reload   read the configuration again
//
// # Who may change state
//
// With [Config.Token], a request that changes state carries it as a bearer token
// (RFC 6750 §2.1); reading is open to whoever reaches the listener. Without a
// token only this machine is trusted: such a request must come from a loopback
// address, and no request at all is answered whose Host is neither loopback nor
// the listener's own address, since a web page can point a name of its own at
// 127.0.0.1 and have the browser on this machine ask (DNS rebinding). A
// cross-site request from a browser that would change state is refused in both
// cases ([http.CrossOriginProtection]).
//
// Each change is answered with JSON that says what was done, and each mistake
// with {"error": "…"}, in one line that says what to change; a configuration that
// is refused has a list of "mistakes" besides. /healthz, /readyz and / are text.
//
// Interfaces here are what the listener needs, and are implemented elsewhere.
package admin
