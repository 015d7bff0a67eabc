package tls

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
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

	// Domains get a certificate each from the CA. A client that sends no name
	// is shown the first one's.
	Domains []string
	// Email is where the CA may write about the account. It may be empty.
	Email string
	// CA is the URL of the CA's ACME directory; empty means Let's Encrypt.
	// Using a CA means agreeing to its terms.
	CA string
	// Dir keeps accounts, keys and certificates of Domains between runs. It is
	// made if need be, for this user only, and must not be shared with anyone
	// else.
	Dir string
	// Listen is the address of the TLS listener, to which port 443 of Domains
	// must lead.
	Listen string
	// TrustedRoots are trusted to sign the CA's own certificate; nil means the
	// system's.
	TrustedRoots *x509.CertPool

	// Logger logs certificates obtained, renewed and failed. Required.
	Logger *slog.Logger
}

// Manager keeps certificates. Its methods may be called concurrently.
type Manager struct {
	pair   *pair   // either this
	domain *domain // or this
}

// New returns a Manager, or an error that names the fault of cfg. [Manager.Close]
// releases it.
func New(cfg Config) (*Manager, error) {
	static := cfg.Certificate != Certificate{}
	switch {
	case static && len(cfg.Domains) > 0:
		return nil, errors.New("a certificate and domains exclude each other: remove one")
	case static:
		p, err := newPair(cfg.Certificate)
		if err != nil {
			return nil, err
		}
		return &Manager{pair: p}, nil
	case len(cfg.Domains) > 0:
		d, err := newDomain(cfg)
		if err != nil {
			return nil, err
		}
		return &Manager{domain: d}, nil
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
	acme := m.domain.magic.TLSConfig()
	c.GetCertificate = acme.GetCertificate
	c.NextProtos = append(c.NextProtos, acme.NextProtos...) // acme-tls/1
	return c
}

// Start begins to obtain and renew the certificates of the domains, and returns
// at once. It ends when ctx does, or with Close.
func (m *Manager) Start(ctx context.Context) error {
	if m.domain != nil {
		return m.domain.start(ctx)
	}
	return nil
}

// Reload reads a static pair again, from these files, and reports whether it is
// another than before. On an error the pair in use stays. The certificates of
// domains need no reload.
func (m *Manager) Reload(files Certificate) (renewed bool, err error) {
	if m.pair == nil {
		return false, nil
	}
	return m.pair.load(files)
}

// Close stops obtaining and renewing certificates. Attempts under way are cancelled, and
// Close does not wait for their end. A configuration of TLSConfig goes on serving the present
// certificates.
func (m *Manager) Close() {
	if m.domain != nil {
		m.domain.stop()
	}
}
