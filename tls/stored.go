package tls

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/certmagic"
)

// Stored returns the state of the certificates of domains that an edge keeps in dir,
// without one that runs. ca is its Config's. A domain without a certificate has a Status
// without dates.
func Stored(dir, ca string, domains []string) ([]Status, error) {
	issuer := (&certmagic.ACMEIssuer{CA: cmp.Or(ca, certmagic.LetsEncryptProductionCA)}).IssuerKey()
	var all []Status
	for _, name := range domains {
		s := Status{Name: name, ACME: true}
		file := filepath.Join(dir, filepath.FromSlash(certmagic.StorageKeys.SiteCert(issuer, name)))
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("cannot read the certificate of %s: %w", name, err)
		default:
			leaf, err := parseLeaf(text)
			if err != nil {
				return nil, fmt.Errorf("cannot read the certificate of %s in %s: %w", name, file, err)
			}
			s.stored(leaf)
		}
		all = append(all, s)
	}
	return all, nil
}

// parseLeaf returns the first certificate of a PEM file.
func parseLeaf(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is not in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Roots reads a PEM file of certificates to trust.
func Roots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("it has no certificate in PEM")
	}
	return pool, nil
}
