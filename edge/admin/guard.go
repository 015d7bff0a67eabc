package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard decides which requests are answered. See the comment of the package.
type guard struct {
	open   bool              // there is no token: only this machine changes state
	token  [sha256.Size]byte // hashed, so that the time to compare tells nothing of its length
	host   string            // of the listener
	origin *http.CrossOriginProtection
}

func newGuard(token, listen string) *guard {
	return &guard{
		open:   token == "",
		token:  sha256.Sum256([]byte(token)),
		host:   hostOf(listen),
		origin: http.NewCrossOriginProtection(),
	}
}

// hosts refuses requests whose Host is not a name of this machine, unless there is
// a token.
func (g *guard) hosts(next http.Handler) http.Handler {
	if !g.open {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.ours(r.Host) {
			refuse(w, http.StatusForbidden, "without an admin token the Host must be a loopback name or the listener's address")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// figures refuses readers of figures that may be a stranger's page in a browser.
func (g *guard) figures(next http.Handler) http.Handler {
	return g.reads(next, " under a name that a stranger may have pointed here", func(r *http.Request) bool { return g.ours(r.Host) || unborrowed(r.Host) })
}

// contents refuses readers of the names of packages: all without the token, but those on this machine.
func (g *guard) contents(next http.Handler) http.Handler {
	return g.reads(next, " for the names of packages", func(r *http.Request) bool { return local(r.RemoteAddr) && loopback(hostOf(r.Host)) && !forwarded(r) })
}

// reads refuses requests that a page of another origin has a browser send, and where there is a token
// also those without it that are not free of it.
func (g *guard) reads(next http.Handler, why string, free func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case ofAnotherPage(r):
			refuse(w, http.StatusForbidden, "refused: a page of another origin asks")
		case !g.open && !free(r) && !g.knows(r.Header.Get("Authorization")):
			challenge(w, why)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ofAnotherPage says whether a browser sends a read for a page of another origin. A link there
// may lead here.
func ofAnotherPage(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate"
	case "":
		if origin := r.Header.Get("Origin"); origin != "" {
			u, err := url.Parse(origin)
			return err != nil || !strings.EqualFold(u.Host, r.Host)
		}
	}
	return false
}

// unborrowed says whether a Host is none that the owner of a domain could point at this machine:
// an address, or a name without a dot, such as containers have.
func unborrowed(host string) bool {
	h := hostOf(host)
	if _, err := netip.ParseAddr(h); err == nil {
		return true
	}
	return h != "" && !strings.Contains(h, ".")
}

// forwarded says whether a proxy says that it has sent a request on, for a client of its own.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	return false
}

// challenge asks for the token.
func challenge(w http.ResponseWriter, why string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="edge admin"`)
	refuse(w, http.StatusUnauthorized, "send the admin token"+why+": Authorization: Bearer …")
}

// ours says whether a Host names this machine.
func (g *guard) ours(host string) bool {
	h := hostOf(host)
	return loopback(h) || h != "" && h == g.host
}

// loopback says whether a host is this machine under any name of its own.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// hostOf returns the host of "host:port" or "host", in lower case, without brackets.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// changes refuses requests without the authority to change state.
func (g *guard) changes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.origin.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "refused: "+err.Error())
			return
		}
		switch {
		case g.open && !local(r.RemoteAddr):
			refuse(w, http.StatusForbidden, "without an admin token only this machine may change state")
		case !g.open && !g.knows(r.Header.Get("Authorization")):
			challenge(w, "")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// local says whether a peer is this machine.
func local(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// knows says whether the field has the token. Its time tells nothing of the token.
func (g *guard) knows(authorization string) bool {
	scheme, token, _ := strings.Cut(authorization, " ")
	sum := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}
