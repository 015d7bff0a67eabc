package tls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// domain has certificates obtained and renewed.
type domain struct {
	names []string
	cache *certmagic.Cache
	magic *certmagic.Config

	ctx  context.Context // ends with stop
	stop func()          // once

	attempts attempts
}

func newDomain(cfg Config) (*domain, error) {
	var faults []error
	for _, name := range cfg.Domains {
		if err := checkDomain(name); err != nil {
			faults = append(faults, err)
		}
	}
	if cfg.Dir == "" {
		faults = append(faults, errors.New("domains need a directory to keep certificates in"))
	}
	if cfg.CA != "" {
		if u, err := url.Parse(cfg.CA); err != nil || u.Scheme != "https" || u.Host == "" {
			faults = append(faults, fmt.Errorf("ca %q is not the https URL of an ACME directory", cfg.CA))
		}
	}
	host, port, err := listener(cfg.Listen)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}

	log := zapTo(cfg.Logger)
	d := &domain{names: slices.Clone(cfg.Domains), attempts: attempts{of: make(map[string]*attempt)}}
	d.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic, nil },
		Logger:           log,
	})
	d.magic = certmagic.New(d.cache, certmagic.Config{
		DefaultServerName: d.names[0],
		OCSP:              certmagic.OCSPConfig{DisableStapling: true},
		Storage:           &certmagic.FileStorage{Path: cfg.Dir},
		OnEvent:           d.attempts.event,
		Logger:            log,
	})
	d.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(d.magic, certmagic.ACMEIssuer{
		CA:                   cfg.CA,
		Email:                cfg.Email,
		Agreed:               true,
		TrustedRoots:         cfg.TrustedRoots,
		DisableHTTPChallenge: true,
		ListenHost:           host,
		AltTLSALPNPort:       port,
		Logger:               log,
	})}
	var cancel context.CancelFunc
	d.ctx, cancel = context.WithCancel(context.Background())
	d.stop = sync.OnceFunc(func() {
		cancel()
		d.cache.Stop()
	})
	return d, nil
}

func (d *domain) start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(d.ctx, cancel)
	if err := d.magic.ManageAsync(ctx, d.names); err != nil {
		return fmt.Errorf("cannot manage certificates: %w", err)
	}
	return nil
}

// status returns the state of each name. Of several certificates of one name the last to
// expire counts, which is the one that certmagic shows.
func (d *domain) status() []Status {
	all := make([]Status, 0, len(d.names))
	for _, name := range d.names {
		s := Status{Name: name, ACME: true}
		for _, c := range d.cache.AllMatchingCertificates(name) {
			if c.Leaf != nil && c.Leaf.NotAfter.After(s.NotAfter) {
				s.stored(c.Leaf)
			}
		}
		d.attempts.tell(&s)
		all = append(all, s)
	}
	return all
}

// attempts are the failures to obtain or renew certificates, by name.
type attempts struct {
	mu sync.Mutex
	of map[string]*attempt
}

type attempt struct {
	failures int64
	failed   time.Time // zero after a success
	why      string
}

// event hears of an event of certmagic. Names are those of the configuration, since
// nothing else is obtained.
func (a *attempts) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	if event != "cert_failed" && event != "cert_obtained" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of[name]
	if of == nil {
		of = new(attempt)
		a.of[name] = of
	}
	if event == "cert_obtained" {
		of.failed, of.why = time.Time{}, ""
		return nil
	}
	of.failures++
	of.failed, of.why = time.Now(), fmt.Sprint(data["error"])
	return nil
}

func (a *attempts) tell(s *Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if of := a.of[s.Name]; of != nil {
		s.Failures, s.Failed, s.Why = of.failures, of.failed, of.why
	}
}

func checkDomain(name string) error {
	switch {
	case strings.Contains(name, "*"):
		return fmt.Errorf("domain %q: a wildcard needs a DNS challenge, which is not offered: list the names", name)
	case strings.ContainsAny(name, ":/ ") || !certmagic.SubjectQualifiesForCert(name):
		return fmt.Errorf("domain %q is not a host name", name)
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("domain %q is an address: list names", name)
	}
	return nil
}

// listener splits the address of the TLS listener. certmagic tries to listen
// there for the CA, finds it taken, and leaves the answer to us.
func listener(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err == nil && port == 0 {
		err = errors.New("the port must be fixed")
	}
	if err != nil {
		return "", 0, fmt.Errorf("cannot use %q as the address of the TLS listener: %w", addr, err)
	}
	return host, port, nil
}
