package tls

import (
	"cmp"
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
	"golang.org/x/time/rate"
)

// domain has certificates obtained and renewed.
type domain struct {
	names      []string // whose certificates are obtained from the start on
	onDemand   []string // and from the first handshake on
	challenges []Challenge
	foreign    *rate.Limiter // see foreign
	cache      *certmagic.Cache
	magic      *certmagic.Config
	issuer     *certmagic.ACMEIssuer
	local      *certmagic.FileStorage
	shared     certmagic.Storage // nil without one

	ctx  context.Context // ends with stop
	stop func()          // once

	again    time.Duration // after which a shared storage that has failed is asked again
	attempts attempts
	demands  demands
}

func newDomain(cfg Config) (*domain, error) {
	var faults []error
	for _, name := range slices.Concat(cfg.Domains, cfg.OnDemand) {
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
	host, port, err := listener("TLS", cfg.Listen)
	if err != nil {
		faults = append(faults, err)
	}
	d := &domain{
		names: slices.Clone(cfg.Domains), onDemand: slices.Clone(cfg.OnDemand), challenges: cfg.Challenges, foreign: rate.NewLimiter(foreign, int(foreign)),
		again: cmp.Or(cfg.again, 10*time.Second), attempts: attempts{of: make(map[string]*attempt)}, demands: demands{came: make(map[string]chan struct{})},
	}
	if len(d.challenges) == 0 {
		d.challenges = []Challenge{TLSALPN}
	}
	plain := 0
	if d.uses(HTTP) {
		if _, plain, err = listener("plain", cfg.Plain); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}

	log := zapTo(cfg.Logger)
	d.local, d.shared = &certmagic.FileStorage{Path: cfg.Dir}, cfg.Shared
	storage, copies := certmagic.Storage(d.local), certmagic.Storage(nil)
	if d.shared != nil {
		storage, copies = d.shared, d.local
	}
	d.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return d.magic, nil },
		Logger:           log,
	})
	d.magic = certmagic.New(d.cache, certmagic.Config{
		DefaultServerName: slices.Concat(d.names, d.onDemand)[0],
		OCSP:              certmagic.OCSPConfig{DisableStapling: true},
		Storage:           storage,
		LocalCache:        copies,
		OnEvent:           d.event,
		Logger:            log,
	})
	// The ports are our own listeners': certmagic tries to listen there, finds them taken,
	// and leaves the answer to us.
	d.issuer = certmagic.NewACMEIssuer(d.magic, certmagic.ACMEIssuer{
		CA:                      cfg.CA,
		Email:                   cfg.Email,
		Profile:                 cfg.Profile,
		Agreed:                  true,
		TrustedRoots:            cfg.TrustedRoots,
		DisableHTTPChallenge:    !d.uses(HTTP),
		DisableTLSALPNChallenge: !d.uses(TLSALPN),
		ListenHost:              host,
		AltHTTPPort:             plain,
		AltTLSALPNPort:          port,
		Logger:                  log,
	})
	d.magic.Issuers = []certmagic.Issuer{d.issuer}
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
	return d.manage(ctx, slices.Concat(d.names, d.stored()))
}

// manage begins to obtain and renew the certificates of names.
func (d *domain) manage(ctx context.Context, names []string) error {
	if d.shared != nil {
		names = d.manageShared(ctx, names)
	}
	if err := d.magic.ManageAsync(ctx, names); err != nil {
		return fmt.Errorf("cannot manage certificates: %w", err)
	}
	return nil
}

// status returns the state of each name. Of several certificates of one name the last to
// expire counts, which is the one that certmagic shows.
func (d *domain) status() []Status {
	all := make([]Status, 0, len(d.names))
	for i, name := range slices.Concat(d.names, d.onDemand) {
		s := Status{Name: name, ACME: true}
		for _, c := range d.cache.AllMatchingCertificates(name) {
			if c.Leaf != nil && c.Leaf.NotAfter.After(s.NotAfter) {
				s.stored(c.Leaf)
			}
		}
		d.attempts.tell(&s)
		if i >= len(d.names) && s.NotAfter.IsZero() && s.Failed.IsZero() {
			continue // nobody has asked for it
		}
		all = append(all, s)
	}
	return all
}

// event hears of an event of certmagic.
func (d *domain) event(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cached_managed_cert":
		if names, ok := data["sans"].([]string); ok {
			d.demands.cached(names)
		}
	case "cert_failed", "cert_obtained":
		if name, ok := data["identifier"].(string); ok {
			d.attempts.ended(name, event == "cert_obtained", data["error"])
		}
	}
	return nil
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

// ended counts an attempt. Names are those of the configuration, since nothing else is
// obtained.
func (a *attempts) ended(name string, obtained bool, why any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of[name]
	if of == nil {
		of = new(attempt)
		a.of[name] = of
	}
	if obtained {
		of.failed, of.why = time.Time{}, ""
		return
	}
	of.failures++
	of.failed, of.why = time.Now(), fmt.Sprint(why)
}

// failedSince reports whether an attempt has failed since a time, and none has succeeded.
func (a *attempts) failedSince(name string, t time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of[name]
	return of != nil && of.failed.After(t)
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

// listener splits the address of a listener.
func listener(which, addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err == nil && port == 0 {
		err = errors.New("the port must be fixed")
	}
	if err != nil {
		return "", 0, fmt.Errorf("cannot use %q as the address of the %s listener: %w", addr, which, err)
	}
	return host, port, nil
}
