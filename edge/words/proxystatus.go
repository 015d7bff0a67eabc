package words

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/klauspost/compress/gzip"

	"pkgedge/origin"
)

// ProxyError names the failure as RFC 9209 section 2.3 does. Where several
// masters failed, the last one tried counts.
func ProxyError(err error) string {
	rest := "http_protocol_error" // a master's answer was accepted, and then was none
	if down := (*origin.Unavailable)(nil); errors.As(err, &down) {
		rest = "destination_unavailable"
		err = Last(err)
	}
	if why := connectionError(err); why != "" {
		return why
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // no more bytes came
		return "connection_read_timeout"
	case isTimeout(err): // not even the response's fields
		return "http_response_timeout"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "http_response_incomplete"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "connection_terminated"
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return "http_response_content_coding"
	}
	switch text := err.Error(); { // net/http has no types for these
	case strings.Contains(text, "server response headers exceeded"):
		return "http_response_header_section_size"
	case strings.Contains(text, "unsupported transfer encoding"):
		return "http_response_transfer_coding"
	case strings.Contains(text, "HTTP/1.x transport connection broken"):
		return "http_protocol_error"
	}
	return rest
}

// Last is the error of the master that was tried last.
func Last(err error) error {
	if down := (*origin.Unavailable)(nil); errors.As(err, &down) && len(down.Tried) > 0 {
		return down.Tried[len(down.Tried)-1]
	}
	return err
}

// connectionError names the reason for which no connection was made, "" when it
// stood.
func connectionError(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return "dns_timeout"
	case errors.As(err, &dns):
		return "dns_error"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "destination_ip_unroutable"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "connection_timeout"
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		return "connection_timeout"
	}
	return tlsError(err)
}

// tlsError names the fault of a handshake, "" for any other error.
func tlsError(err error) string {
	var (
		certificate *tls.CertificateVerificationError
		invalid     x509.CertificateInvalidError
		unknown     x509.UnknownAuthorityError
		name        x509.HostnameError
		alert       tls.AlertError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &name):
		return "tls_certificate_error"
	case errors.As(err, &alert):
		return "tls_alert_received"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "tls_protocol_error"
	}
	return ""
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
