package tls

import (
	"bytes"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// pair is a certificate and its key from two files.
type pair struct {
	inUse atomic.Pointer[cryptotls.Certificate]
}

func newPair(files Certificate) (*pair, error) {
	if files.Cert == "" || files.Key == "" {
		return nil, errors.New("a certificate needs both its cert and its key file")
	}
	p := &pair{}
	if _, err := p.load(files); err != nil {
		return nil, err
	}
	return p, nil
}

// load replaces the pair in use by the pair of the files, if they are one, and reports
// whether it is another one.
func (p *pair) load(files Certificate) (other bool, err error) {
	c, err := cryptotls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return false, fmt.Errorf("cannot load certificate %q with key %q: %w", files.Cert, files.Key, err)
	}
	before := p.inUse.Swap(&c)
	return before == nil || !slices.EqualFunc(before.Certificate, c.Certificate, bytes.Equal), nil
}

func (p *pair) get(*cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	return p.inUse.Load(), nil
}
