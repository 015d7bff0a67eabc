package tls

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Status is the state of one certificate: the static pair's, or that of a domain.
type Status struct {
	Name      string    `json:"name"`            // the domain, or the first name of the pair
	Names     []string  `json:"names,omitempty"` // all that it is for; none where there is no certificate yet
	Issuer    string    `json:"issuer,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	ACME      bool      `json:"acme"` // obtained and renewed by the edge

	// Failures counts attempts to obtain or renew that failed since the start. Failed
	// is the time of the last one and Why its reason; a success clears both.
	Failures int64     `json:"failures,omitempty"`
	Failed   time.Time `json:"failed,omitzero"`
	Why      string    `json:"why,omitempty"`
}

// Urgency says how soon somebody must look after a certificate.
type Urgency int

// The urgencies, in their order.
const (
	Well   Urgency = iota
	Soon           // 30 days are left
	Urgent         // 7 days are left
	Now            // a day is left, or nothing
)

// steps are the times before its end at which a certificate becomes more urgent, and
// the parts of its life that replace them when those are shorter.
var steps = [...]struct {
	is   Urgency
	left time.Duration
	part time.Duration // of the life, as a divisor
}{{Now, day, 16}, {Urgent, 7 * day, 8}, {Soon, 30 * day, 3}}

const day = 24 * time.Hour

// renewed replaces the divisor of the first step for a certificate that the edge renews
// itself. It does so when a third of the life is left, and then has until a quarter is
// left before anybody needs to hear of it.
const renewed = 4

// stored fills in the certificate itself.
func (s *Status) stored(leaf *x509.Certificate) {
	s.Names = namesOf(leaf)
	s.Issuer = leaf.Issuer.CommonName
	s.NotBefore, s.NotAfter = leaf.NotBefore, leaf.NotAfter
	switch {
	case s.Name != "":
	case len(s.Names) > 0:
		s.Name = s.Names[0]
	default:
		s.Name = cmp.Or(leaf.Subject.CommonName, "static")
	}
}

// namesOf lists the names and addresses that a certificate is for.
func namesOf(leaf *x509.Certificate) []string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Urgency says how urgent the certificate is. A failure alone is not: there is time to
// try again, as long as the certificate has time left.
func (s *Status) Urgency(now time.Time) Urgency {
	if s.NotAfter.IsZero() {
		if s.Failed.IsZero() {
			return Well // it is being obtained
		}
		return Now
	}
	if s.NotBefore.After(now) {
		return Now
	}
	life, left := s.NotAfter.Sub(s.NotBefore), s.NotAfter.Sub(now)
	for _, step := range steps {
		part := step.part
		if s.ACME && step.is == Soon {
			part = renewed
		}
		if left <= min(step.left, life/part) {
			return step.is
		}
	}
	return Well
}

// Title is the name of the certificate, and the others that it is for.
func (s *Status) Title() string {
	if len(s.Names) > 0 {
		return strings.Join(s.Names, ", ")
	}
	return s.Name
}

// Text describes the certificate in one line, after its title.
func (s *Status) Text(now time.Time) string {
	var text string
	switch left := s.NotAfter.Sub(now); {
	case s.NotAfter.IsZero():
		text = "has not been obtained yet"
	case left <= 0:
		text = fmt.Sprintf("has expired %s ago, on %s", span(-left), date(s.NotAfter))
	case s.NotBefore.After(now):
		text = fmt.Sprintf("is not valid before %s", s.NotBefore.UTC().Format(time.DateTime))
	default:
		text = fmt.Sprintf("expires in %s, on %s", span(left), date(s.NotAfter))
	}
	if s.ACME && !s.Failed.IsZero() && !s.NotAfter.IsZero() {
		text += fmt.Sprintf("; the last attempt to renew it failed %s ago: %s", span(now.Sub(s.Failed)), s.Why)
	} else if !s.Failed.IsZero() {
		text += fmt.Sprintf("; the last attempt failed %s ago: %s", span(now.Sub(s.Failed)), s.Why)
	}
	return text
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// span writes a duration for a person, in one unit.
func span(d time.Duration) string {
	for _, u := range []struct {
		is   time.Duration
		name string
	}{{day, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*u.is {
			return fmt.Sprintf("%d %s", d/u.is, u.name)
		}
	}
	return fmt.Sprintf("%d seconds", max(0, d/time.Second))
}
