package words

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"

	"pkgedge/origin"
)

// Failures that a test cannot bring about over loopback.
func TestProxyErrorNames(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Err: "no such host", IsNotFound: true}, "dns_error"},
		{&net.DNSError{Err: "timeout", IsTimeout: true}, "dns_timeout"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "connection_timeout"},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, "destination_ip_unroutable"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "connection_terminated"},
		{fmt.Errorf("net/http: TLS handshake timeout"), "connection_timeout"},
		{x509.UnknownAuthorityError{}, "tls_certificate_error"},
		{tls.AlertError(40), "tls_alert_received"},
		{http.ErrSchemeMismatch, "tls_protocol_error"},
		{gzip.ErrHeader, "http_response_content_coding"},
		{&origin.Unavailable{Tried: []error{errors.New("answered 500")}}, "destination_unavailable"},
		{errors.New("206 to a request without Range"), "http_protocol_error"},
		{&origin.Unavailable{Tried: []error{syscall.ECONNREFUSED, fmt.Errorf("second: %w", io.EOF)}}, "connection_terminated"},
		{&origin.Unavailable{}, "destination_unavailable"},
		{context.DeadlineExceeded, "http_response_timeout"},
	} {
		if got := ProxyError(fmt.Errorf("cannot fetch: %w", tt.err)); got != tt.want {
			t.Errorf("%v is %s; want %s", tt.err, got, tt.want)
		}
	}
}
