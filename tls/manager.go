package tls

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// Certificate names a static pair: two PEM files, the certificate followed by
// its intermediates and the private key.
type Certificate struct {
	Cert string
	Key  string
}

// Config says where certificates come from: Certificate or Domains, not both.
type Config struct {
	Certificate Certificate

	// Names are those that clients are told to use. A static pair must be for each.
	Names []string

	// Domains get a certificate each from the CA. A client that sends no name
	// is shown the first one's.
	Domains []string
	// OnDemand are further names. The certificate of one is obtained when a client asks for
	// it for the first time. No other name is ever obtained.
	OnDemand []string
	// Challenges are those that the CA may choose from. None means TLSALPN.
	Challenges []Challenge
	// Profile is one of the CA's kinds of certificates, such as "shortlived". Empty means
	// its usual one.
	Profile string
	// Email is where the CA may write about the account. It may be empty.
	Email string
	// CA is the URL of the CA's ACME directory; empty means Let's Encrypt.
	// Using a CA means agreeing to its terms.
	CA string
	// Dir keeps accounts, keys and certificates of Domains between runs. It is
	// made if need be, for this user only, and must not be shared with anyone
	// else.
	Dir string
	// Shared, if not nil, keeps them for several edges, which obtain each certificate once. Then
	// Dir has copies: handshakes and starts need no Shared that answers.
	Shared certmagic.Storage
	// Listen is the address of the TLS listener, to which port 443 of Domains
	// must lead.
	Listen string
	// Plain is the address of the plain listener, to which port 80 of Domains must lead. It
	// is needed for HTTP alone.
	Plain string
	// TrustedRoots are trusted to sign the CA's own certificate; nil means the
	// system's.
	TrustedRoots *x509.CertPool

	again time.Duration // for tests: after which a Shared that has failed is asked again

	// Logger logs certificates obtained, renewed, failed and near their end. Required.
	Logger *slog.Logger
}

// Manager keeps certificates. Its methods may be called concurrently.
type Manager struct {
	pair   *pair   // either this
	domain *domain // or this
	log    *slog.Logger

	ctx      context.Context // ends with stop
	stop     context.CancelFunc
	watching sync.WaitGroup
}

// New returns a Manager, or an error that names the fault of cfg. [Manager.Close]
// releases it.
func New(cfg Config) (*Manager, error) {
	m := &Manager{log: cfg.Logger}
	m.ctx, m.stop = context.WithCancel(context.Background())
	static, domains := cfg.Certificate != Certificate{}, len(cfg.Domains)+len(cfg.OnDemand) > 0
	switch {
	case static && domains:
		return nil, errors.New("a certificate and domains exclude each other: remove one")
	case static:
		p, err := newPair(cfg.Certificate, cfg.Names)
		if err != nil {
			return nil, err
		}
		m.pair = p
		return m, nil
	case domains:
		d, err := newDomain(cfg)
		if err != nil {
			return nil, err
		}
		m.domain = d
		return m, nil
	default:
		return nil, errors.New("neither a certificate nor domains are given")
	}
}

// TLSConfig returns a new configuration for the edge's listener: TLS 1.2 or
// newer, HTTP/2 or HTTP/1.1.
func (m *Manager) TLSConfig() *cryptotls.Config {
	c := &cryptotls.Config{
		MinVersion: cryptotls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if m.pair != nil {
		c.GetCertificate = m.pair.get
		return c
	}
	c.GetCertificate = m.domain.get
	if m.domain.uses(TLSALPN) {
		c.NextProtos = append(c.NextProtos, acmeProtocol)
	}
	return c
}

// Start begins to obtain and renew the certificates of the domains, and to watch the end
// of every certificate, and returns at once. It ends when ctx does, or with Close.
func (m *Manager) Start(ctx context.Context) error {
	if m.domain != nil {
		if err := m.domain.start(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(m.ctx, cancel)
	m.watching.Go(func() { m.watch(ctx) })
	return nil
}

// Status returns the state of every certificate.
func (m *Manager) Status() []Status {
	if m.pair != nil {
		return []Status{m.pair.status()}
	}
	return m.domain.status()
}

// Reload reads a static pair again, from these files, and reports whether it is
// another than before. On an error the pair in use stays: so it does when the new pair
// has expired, or is not for names. The certificates of domains need no reload.
func (m *Manager) Reload(files Certificate, names []string) (renewed bool, err error) {
	if m.pair == nil {
		return false, nil
	}
	return m.pair.load(files, names)
}

// Close stops obtaining, renewing and watching certificates. Attempts under way are cancelled, and
// Close does not wait for their end. A configuration of TLSConfig goes on serving the present
// certificates.
func (m *Manager) Close() {
	m.stop()
	m.watching.Wait()
	if m.domain != nil {
		m.domain.stop()
	}
}
