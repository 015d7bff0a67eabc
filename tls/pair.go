package tls

import (
	"bytes"
	"cmp"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Pair is a certificate and its key, from two files.
type Pair struct{ cryptotls.Certificate }

// Load reads a pair of files. It fails where they are not one.
func Load(files Certificate) (*Pair, error) {
	c, err := cryptotls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	return &Pair{c}, nil
}

// Status describes the certificate.
func (p *Pair) Status() Status {
	var s Status
	s.stored(p.Leaf)
	return s
}

// Faults lists the reasons for which clients of names would refuse the certificate. Each
// has its fix.
func (p *Pair) Faults(names []string, now time.Time) (faults []string) {
	leaf := p.Leaf
	if now.After(leaf.NotAfter) {
		faults = append(faults, fmt.Sprintf("expired on %s, %s ago: put a renewed certificate there", date(leaf.NotAfter), span(now.Sub(leaf.NotAfter))))
	} else if now.Before(leaf.NotBefore) {
		faults = append(faults, fmt.Sprintf("is not valid before %s UTC: put one there that is, or set the clock of this machine", leaf.NotBefore.UTC().Format(time.DateTime)))
	}
	return append(faults, p.wrongNames(names)...)
}

// wrongNames lists the names that the certificate is not for.
func (p *Pair) wrongNames(names []string) (faults []string) {
	for _, name := range names {
		if p.Leaf.VerifyHostname(name) != nil {
			is := strings.Join(namesOf(p.Leaf), ", ")
			faults = append(faults, fmt.Sprintf("is for %s, and not for %s, which public_url tells clients to use: get one for that name, or set public_url to a name that it is for",
				cmp.Or(is, "no name at all"), name))
		}
	}
	return faults
}

// pair is the static pair that is shown.
type pair struct {
	inUse atomic.Pointer[Pair]
}

func newPair(files Certificate, names []string) (*pair, error) {
	if files.Cert == "" || files.Key == "" {
		return nil, errors.New("a certificate needs both its cert and its key file")
	}
	p := &pair{}
	if _, err := p.load(files, names); err != nil {
		return nil, err
	}
	return p, nil
}

// load replaces the pair in use by the pair of the files, if they are one that clients of
// names accept, and reports whether it is another one. The pair in use may have expired
// since it was loaded: that is no reason to refuse it now.
func (p *pair) load(files Certificate, names []string) (other bool, err error) {
	c, err := Load(files)
	if err != nil {
		return false, fmt.Errorf("cannot load certificate %q with key %q: %w", files.Cert, files.Key, err)
	}
	before := p.inUse.Load()
	other = before == nil || !slices.EqualFunc(before.Certificate.Certificate, c.Certificate.Certificate, bytes.Equal)
	faults := c.wrongNames(names)
	if other {
		faults = c.Faults(names, time.Now())
	}
	if len(faults) > 0 {
		return false, fmt.Errorf("certificate %q %s", files.Cert, strings.Join(faults, "; it "))
	}
	p.inUse.Store(c)
	return other, nil
}

func (p *pair) status() Status {
	return p.inUse.Load().Status()
}

func (p *pair) get(*cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	return &p.inUse.Load().Certificate, nil
}
