package tls

import (
	cryptotls "crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
	"golang.org/x/time/rate"
)

// Challenge is a way in which a CA is shown that a name is ours.
type Challenge string

// The challenges.
const (
	TLSALPN Challenge = "tls-alpn-01" // RFC 8737: the CA comes to the encrypted listener, at port 443
	HTTP    Challenge = "http-01"     // RFC 8555 section 8.3: it comes to the plain one, at port 80
)

const (
	challengePath = "/.well-known/acme-challenge/"
	acmeProtocol  = "acme-tls/1"
)

// foreign bounds how often, in a second, the directory is searched for a challenge that
// this process did not begin: another edge may share the directory, and strangers ask for
// challenges as they like.
const foreign = rate.Limit(5)

// Challenges returns a handler for the plain listener that answers the CA, and leaves all
// else to next.
func (m *Manager) Challenges(next http.Handler) http.Handler {
	if m.domain == nil || !m.domain.uses(HTTP) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, challengePath) && m.domain.answer(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answer answers a request of the CA, and reports whether it was one.
func (d *domain) answer(w http.ResponseWriter, r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return d.mayAsk(host) && d.issuer.HandleHTTPChallenge(w, r)
}

// mayAsk reports whether a challenge for a name is looked for. Only a name of ours has one.
func (d *domain) mayAsk(name string) bool {
	name = strings.ToLower(name)
	if !slices.Contains(d.names, name) && !slices.Contains(d.onDemand, name) {
		return false
	}
	if _, ours := certmagic.GetACMEChallenge(name); ours {
		return true
	}
	return d.foreign.Allow()
}

// get returns the certificate for a handshake: that of the CA's challenge, or a client's.
func (d *domain) get(hello *cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acmeProtocol}) && !d.mayAsk(hello.ServerName) {
		return nil, fmt.Errorf("no challenge for %q is under way", hello.ServerName)
	}
	cert, err := d.magic.GetCertificate(hello)
	if err != nil && d.demand(hello) {
		return d.magic.GetCertificate(hello)
	}
	return cert, err
}

// uses reports whether the CA may choose a challenge.
func (d *domain) uses(c Challenge) bool { return slices.Contains(d.challenges, c) }
