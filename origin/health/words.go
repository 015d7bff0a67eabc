package health

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pkgedge/origin/transport"
)

// OutError says why a master is not asked.
type OutError struct{ Why string }

func (e OutError) Error() string { return e.Why }

// Deed puts the error of a request to a master in words that follow the master's name,
// for a person without knowledge of this edge: "answered 500". answered says that a
// response had begun, and took is how long the request lasted.
func Deed(err error, answered bool, took time.Duration) string {
	var status *transport.StatusError
	var own *Blame
	var out OutError
	switch text := connectionDeed(err, took); {
	case errors.As(err, &out):
		return "is out of rotation: " + out.Why
	case errors.As(err, &status):
		return "answered " + strconv.Itoa(status.Status)
	case errors.Is(err, ErrBusy):
		return "has as many requests of this edge as it may have"
	case text != "" && !answered:
		return text
	}
	switch f := inTransit(err); f.word {
	case "stalled", "drip":
		return "stopped in the middle of its answer"
	case "timeout":
		switch {
		case errors.Is(err, transport.ErrUntaken):
			return "did not take the request within " + inWords(took)
		case answered:
			return "stopped in the middle of its answer"
		}
		return "did not answer within " + inWords(took)
	case "cut":
		if answered {
			return "broke its answer off"
		}
		return "closed the connection without an answer"
	case "no room":
		return "could not be connected to: this machine has no room for more connections"
	case "redirects", "private", "downgrade", "fields":
		return f.always
	}
	if errors.As(err, &own) {
		return own.deed()
	}
	if !answered {
		return "gave no valid HTTP answer"
	}
	return "gave no usable answer"
}

// connectionDeed is that of a master to which there was no connection, "" where it stood.
func connectionDeed(err error, took time.Duration) string {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		name        x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused the connection"
	case errors.As(err, &dns):
		return "has a name that cannot be resolved"
	case errors.As(err, &name):
		return "has a certificate for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has a certificate that has expired, or is not valid yet"
	case errors.As(err, &unknown):
		return "has a certificate of an unknown authority"
	case errors.As(err, &certificate), errors.As(err, &invalid):
		return "has no valid certificate"
	case errors.As(err, &alert), errors.As(err, &record):
		return "failed the TLS handshake"
	case err != nil && strings.Contains(err.Error(), "TLS handshake timeout"): // net/http has no type for it
		return "did not complete the TLS handshake in time"
	case errors.As(err, &op) && op.Op == "dial":
		if op.Timeout() {
			return "could not be connected to within " + inWords(took)
		}
		return "cannot be reached"
	}
	return ""
}

// deed is in words that follow the master's name.
func (b *Blame) deed() string {
	if b.Did != "" {
		return b.Did
	}
	switch b.Word {
	case "large":
		return "answered with more than this edge accepts"
	case "file":
		return "answered with an unusable file"
	case "older", "lost":
		return "answered with an older document than the one stored here"
	}
	return "gave no usable answer"
}

// inWords is a wait as a person would say it: 10m, and not 10m0s.
func inWords(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
