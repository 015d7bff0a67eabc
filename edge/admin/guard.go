package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
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

// names refuses requests whose Host is not a name of this machine, unless there is
// a token.
func (g *guard) names(next http.Handler) http.Handler {
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

// ours says whether a Host names this machine.
func (g *guard) ours(host string) bool {
	h := hostOf(host)
	if h == "localhost" || h != "" && h == g.host {
		return true
	}
	a, err := netip.ParseAddr(h)
	return err == nil && a.Unmap().IsLoopback()
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
			w.Header().Set("WWW-Authenticate", `Bearer realm="edge admin"`)
			refuse(w, http.StatusUnauthorized, "send the admin token: Authorization: Bearer …")
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
