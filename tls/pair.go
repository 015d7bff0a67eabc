package tls

import (
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
)

// pair is a certificate and its key from two files.
type pair struct {
	files Certificate
	inUse atomic.Pointer[cryptotls.Certificate]
}

func newPair(files Certificate) (*pair, error) {
	if files.Cert == "" || files.Key == "" {
		return nil, errors.New("a certificate needs both its cert and its key file")
	}
	p := &pair{files: files}
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// load replaces the pair in use by what the files hold, if that is a pair.
func (p *pair) load() error {
	c, err := cryptotls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	if err != nil {
		return fmt.Errorf("cannot load certificate %q with key %q: %w", p.files.Cert, p.files.Key, err)
	}
	p.inUse.Store(&c)
	return nil
}

func (p *pair) get(*cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	return p.inUse.Load(), nil
}
