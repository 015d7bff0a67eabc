package tls

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// onDemandPatience is how long a handshake waits for the first certificate of its name. The
// server gives a handshake ten seconds in all. The attempt goes on without it.
const onDemandPatience = 8 * time.Second

// onDemandPause is how long after a failed attempt handshakes do not wait for the next one.
const onDemandPause = time.Minute

// demands are the names whose certificates have been asked for by a handshake.
type demands struct {
	mu   sync.Mutex
	came map[string]chan struct{} // closed once the name has a certificate; bounded by the list of names
}

// of returns the channel of a name, and whether this is the first demand.
func (ds *demands) of(name string) (came chan struct{}, first bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if came = ds.came[name]; came != nil {
		return came, false
	}
	came = make(chan struct{})
	ds.came[name] = came
	return came, true
}

// cached tells handshakes that the certificates of names can be shown.
func (ds *demands) cached(names []string) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, name := range names {
		came := ds.came[name]
		if came == nil {
			continue
		}
		select {
		case <-came:
		default:
			close(came)
		}
	}
}

// demand has the certificate of a name obtained that a client asks for, if it is one of the
// list, and reports whether it has come. The list is in memory: a stranger's name costs no
// look-up anywhere.
func (d *domain) demand(hello *cryptotls.ClientHelloInfo) (obtained bool) {
	name := strings.ToLower(hello.ServerName)
	if !slices.Contains(d.onDemand, name) {
		return false
	}
	came, first := d.demands.of(name)
	if first {
		if err := d.manage(d.ctx, []string{name}); err != nil {
			return false
		}
	}
	if d.attempts.failedSince(name, time.Now().Add(-onDemandPause)) {
		return false
	}
	ctx, cancel := context.WithTimeout(hello.Context(), onDemandPatience)
	defer cancel()
	select {
	case <-came:
		return true
	case <-ctx.Done():
	case <-d.ctx.Done():
	}
	return false
}

// stored lists the names of the list that have a certificate here already. They are renewed
// like all others.
func (d *domain) stored() (names []string) {
	for _, name := range d.onDemand {
		key := certmagic.StorageKeys.SiteCert(d.issuer.IssuerKey(), name)
		if _, err := d.local.Stat(d.ctx, key); !errors.Is(err, fs.ErrNotExist) {
			d.demands.of(name)
			names = append(names, name)
		}
	}
	return names
}
