package fleet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pkgedge/edge/config"
	"pkgedge/edge/fleet/vault"
	edgetls "pkgedge/tls"
)

const (
	dialFor        = 2 * time.Second
	pingEvery      = 2 * time.Second // so that a server that is cut off is left after two of them
	reconnectAfter = 250 * time.Millisecond
)

// dialer dials until ctx is done.
type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	to := net.Dialer{Timeout: dialFor}
	return to.DialContext(d.ctx, network, address)
}

// Connect connects with the servers of a fleet. With persistent it returns without a connection,
// too, and goes on trying; ctx ends the attempts.
func Connect(ctx context.Context, f *config.Fleet, persistent bool, log func(event string, err error)) (*nats.Conn, jetstream.JetStream, error) {
	o := nats.GetDefaultOptions()
	o.Servers, o.Name = f.NATS, "edge "+f.Name
	o.CustomDialer, o.Timeout, o.PingInterval, o.MaxPingsOut = dialer{ctx}, dialFor, pingEvery, 2
	o.RetryOnFailedConnect, o.MaxReconnect, o.ReconnectBufSize = persistent, -1, -1
	o.ReconnectWait, o.ReconnectJitter, o.ReconnectJitterTLS = reconnectAfter, reconnectAfter, reconnectAfter
	o.AllowReconnect = persistent
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) { log("disconnected", err) }
	o.ReconnectedCB = func(c *nats.Conn) { log("connected", nil) }
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { log("trouble", err) }
	if f.Creds != "" {
		if err := nats.UserCredentials(f.Creds)(&o); err != nil {
			return nil, nil, fmt.Errorf("fleet.creds: %w", err)
		}
	}
	var err error
	if o.TLSConfig, err = tlsOf(f); err != nil {
		return nil, nil, err
	}
	nc, err := o.Connect()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot connect with the NATS servers: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

// servers returns the servers once there is an attempt to connect with them.
func (f *Fleet) servers(ctx context.Context) (jetstream.JetStream, error) {
	select {
	case <-f.connected:
	case <-ctx.Done():
		return nil, fmt.Errorf("there is no connection with the NATS servers: %w", ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.js, nil
}

// Certificates keeps the certificates of all edges of the fleet. It is nil where they share none.
func (f *Fleet) Certificates() *vault.Vault {
	if f == nil {
		return nil
	}
	return f.vault
}

// tlsOf is the certificate and the authority for connections with servers, nil without them.
func tlsOf(f *config.Fleet) (*tls.Config, error) {
	if f.TLS == (config.FleetTLS{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.TLS.Cert, f.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("fleet.tls: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if f.TLS.CA != "" {
		roots, err := edgetls.Roots(f.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("fleet.tls.ca: %w", err)
		}
		c.RootCAs = roots
	}
	return c, nil
}
