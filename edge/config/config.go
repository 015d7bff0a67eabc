package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pkgedge/edge/config/fleet"
	"pkgedge/edge/config/value"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
	"pkgedge/tls"
)

// Config is a whole configuration: parsed, checked and complete. It is not
// changed once the edge serves.
type Config struct {
	Listen    string   // host:port of the plain HTTP listener; "" when there is none
	PublicURL *url.URL // base of the URLs clients are given; http or https, no trailing slash
	Contact   string   // URL of those to call, for clients' people: mailto, tel, http or https; "" for none
	Admin     Admin
	Cache     Cache
	Sites     []Site // at least one
	Limits    Limits
	TLS       TLS
	Drain     Drain
	Fleet     Fleet
	FastLane  bool // hits are answered on the connection, before net/http
	Log       Log

	certificates []tls.Status // as they were on disk when the configuration was checked
}

// Admin is the second listener, for operators.
type Admin struct {
	Listen string // host:port; "" when there is none; loopback when Token is empty
	Token  string // bearer token for everything that changes state; "" when there is none
}

// Cache bounds the cache. Sizes are in bytes and above zero.
type Cache struct {
	Memory      int64  // the memory tier
	Disk        int64  // the disk tier
	Dir         string // where the disk tier lives; created when missing
	MaxObject   int64  // the largest file that is stored; at most Disk
	MaxMetadata int64  // the largest metadata document that is accepted, decoded
}

// Site is one registry behind the edge.
type Site struct {
	Name     string // unique; lower-case letters, digits, "-", "_" and "."
	Kind     *kind.Descriptor
	Path     string   // prefix on the listener; begins and ends with "/"
	Hosts    []string // only these Host names, lower case and without port; empty for any
	Masters  []Master // the primary, then the others as written; empty for the embedded samples
	Files    []Master // where files come from instead, in the same order; empty for the masters
	Probe    Probe
	Timeouts Timeouts
	Fresh    Fresh
	Stale    Stale

	Changes Changes // how it learns of new versions; only for kinds with a ChangePath

	Scopes      []Scope    // parts of the names that have masters of their own; only for kinds that are Scoped
	Credentials string     // Authorization that the edge itself reads with; "" for none. A secret
	Authorized  Authorized // treatment of a client's credential

	MinimumAge MinimumAge    // only for kinds that are Dated
	Settings   kind.Settings // values of the keys that only this kind has
}

// MinimumAge is how long ago a version must have been published.
type MinimumAge struct {
	For    time.Duration // 0 is any age
	Exempt []string      // packages, scopes and versions of any age, in the kind's words
}

// Role is the part of a master in its site.
type Role string

// The roles of a master.
const (
	RolePrimary Role = "primary" // takes writes; exactly one in a site
	RoleReplica Role = "replica"
	RoleSpare   Role = "spare" // gets requests when no other master is healthy
)

// Probe says how the health of a site's masters is probed, see origin.Probe. Every and Timeout are above zero, Fall and Rise at least 1.
type Probe struct {
	Path    string // "" for a choice of the edge's own
	Every   time.Duration
	Timeout time.Duration
	Fall    int
	Rise    int
}

// Master is one origin server of a site.
type Master struct {
	URL  *url.URL // http or https; its path has no trailing slash
	Role Role
}

// Timeouts bound the waits for a master. All are above zero.
type Timeouts struct {
	Connect   time.Duration // until the connection stands, TLS included
	FirstByte time.Duration // until the response's headers are complete
	Idle      time.Duration // between two pieces of a body
	Write     time.Duration // as FirstByte, for requests that no other master can answer: a write, a login, an audit
}

// Fresh gives the lifetimes of responses without one. A response is used for its
// lifetime without validation. Zero means: validate before each use.
type Fresh struct {
	Metadata time.Duration
	Files    time.Duration
	Missing  time.Duration // a 404
	Override bool          // these win over the fields of the master

	// Clients is how long a client may use metadata without asking, [Remaining] for
	// as long as the edge itself.
	Clients time.Duration
}

// Remaining is the part of a lifetime that is left.
const Remaining time.Duration = -3

// Stale says for how long after its lifetime a response may be used.
type Stale struct {
	WhileRevalidate time.Duration // while it is validated in the background
	Patience        time.Duration // of a client that waits for that first, for metadata; 0 for none
	IfError         time.Duration // when no master answers; may be kind.Forever

	// Override has the two win over must-revalidate, proxy-revalidate, s-maxage and
	// no-cache of a master. It is the default of a registry.
	Override      bool
	overrideGiven bool // only while the configuration is read
}

// Limits protect the edge from its clients.
type Limits struct {
	Rate           float64        // budget per client and second; 0 is off
	Burst          int            // budget a client may save up; above zero when Rate is
	Exempt         []netip.Prefix // clients without a limit
	TrustedProxies []netip.Prefix // peers that name their clients
	// ProxyProtocol has each connection begin with the header of a trusted proxy, and no
	// X-Forwarded-For count.
	ProxyProtocol bool
	Concurrent    Concurrent
	Fields        bool // clients are told their budgets
}

// Concurrent are bounds of things under way. 0 is a default.
type Concurrent struct {
	Connections       int // to the public listeners
	ClientConnections int
	Requests          int // that the fast lane does not answer
	ClientRequests    int
	ClientHeads       int // of requests, that come in parts
	ClientBodies      int // requests that have a body
	ClientMisses      int // fetches of which nothing is stored
}

// Concurrent returns the bounds, with defaults by the memory of the cache. An idle connection
// takes 20 to 35 KB, a request of a client that does not read its answer some 50 KB.
func (c *Config) Concurrent() Concurrent {
	b, memory := c.Limits.Concurrent, c.Cache.Memory
	part := func(size int64, least, most int) int { return int(min(max(memory/size, int64(least)), int64(most))) }
	for _, d := range []struct {
		to *int
		is int
	}{
		{&b.Connections, part(64<<10, 1024, 65536)},
		{&b.ClientConnections, part(256<<10, 512, 16384)},
		{&b.Requests, part(64<<10, 2048, 65536)},
		{&b.ClientRequests, part(128<<10, 1536, 16384)},
		{&b.ClientHeads, 64},
		{&b.ClientBodies, 64},
		{&b.ClientMisses, 1024},
	} {
		if *d.to == 0 {
			*d.to = d.is
		}
	}
	return b
}

// Drain is the way in which the edge ends.
type Drain struct {
	Delay time.Duration // how long connections are accepted after /readyz has said no
	Limit time.Duration // how long requests may take to finish from then on
}

// Access is the form of the access log.
type Access string

// The forms of the access log.
const (
	AccessJSON   Access = "json"
	AccessCommon Access = "common"
	AccessOff    Access = "off"
)

// Log says which lines the edge writes, and how.
type Log struct {
	Level  slog.Level
	Access Access
}

// The fleet key, by the names of this package.
type (
	Fleet      = fleet.Config
	FleetTLS   = fleet.TLS
	FleetStore = fleet.Store
)

// Default returns the built-in configuration, the same as the shipped
// config.yaml: one site in front of the embedded sample masters, of their kind.
func Default(kinds []kind.Descriptor) *Config {
	const listen = "127.0.0.1:8080"
	site := NewSite(kinds)
	site.Name = site.Kind.Name
	site.applyDefaults()
	return &Config{
		Listen:    listen,
		PublicURL: followListen(listen),
		Admin:     Admin{Listen: "127.0.0.1:8081"},
		Cache: Cache{
			Memory:      256 << 20,
			Disk:        10 << 30,
			Dir:         "./edge-cache",
			MaxObject:   2 << 30,
			MaxMetadata: 128 << 20,
		},
		Sites:    []Site{site},
		TLS:      TLS{Redirect: RedirectAuto, Challenge: ChallengeAuto},
		Drain:    Drain{Limit: 30 * time.Second},
		FastLane: true,
		Log:      Log{Level: slog.LevelInfo, Access: AccessJSON},
	}
}

// NewSite returns a site of which no key is set. It has no name, and its lifetimes
// are unset until applyDefaults.
func NewSite(kinds []kind.Descriptor) Site {
	return Site{
		Kind:     sampleKind(kinds),
		Path:     "/",
		Probe:    Probe{Every: 5 * time.Second, Timeout: 2 * time.Second, Fall: 3, Rise: 2},
		Timeouts: Timeouts{Connect: 2 * time.Second, FirstByte: 10 * time.Second, Idle: 20 * time.Second, Write: 10 * time.Minute},
		Changes:  Changes{Mode: feed.Couch},
		Fresh:    Fresh{Metadata: unset, Files: unset, Missing: unset, Clients: Remaining},
		Stale:    Stale{WhileRevalidate: unset, Patience: 500 * time.Millisecond, IfError: unset},
	}
}

// unset marks a lifetime that the configuration does not give.
const unset time.Duration = -1

// applyDefaults gives each lifetime that is unset the value of the kind.
func (s *Site) applyDefaults() {
	d := s.Kind.Defaults
	if !s.Stale.overrideGiven {
		s.Stale.Override = d.StaleOverride
	}
	for _, l := range []struct {
		to *time.Duration
		is time.Duration
	}{
		{&s.Fresh.Metadata, d.Metadata}, {&s.Fresh.Files, d.Files}, {&s.Fresh.Missing, d.Missing},
		{&s.Stale.WhileRevalidate, d.WhileRevalidate}, {&s.Stale.IfError, d.IfError},
	} {
		if *l.to == unset {
			*l.to = l.is
		}
	}
	s.Stale.overrideGiven = false
	s.setAuthorized()
}

// Load reads and checks the configuration file at path, or checks the built-in
// configuration when path is "". ${NAME} in a value is replaced by env. The
// error, when there is one, is [node.Problems] with every problem.
//
// Load tries whether the cache directory can be written, but does not create
// it.
func Load(path string, kinds []kind.Descriptor, env func(string) (string, bool)) (*Config, error) {
	d := newDecoder(path, kinds, env)
	cfg := d.read()
	if cfg != nil {
		d.checkFiles(cfg)
	}
	if d.Count() > 0 {
		return nil, d.Problems()
	}
	return cfg, nil
}

// read reads the file, but not the files and directories that it names. It returns
// nil when there is no configuration.
func (d *decoder) read() *Config {
	if d.file == "" {
		cfg := Default(d.kinds)
		d.environment(cfg)
		d.misused()
		return cfg
	}
	text, err := value.ReadFile(d.file)
	if err != nil {
		d.Bad("", "%v", err)
		return nil
	}
	return d.config(text)
}

// SetListen moves the plain listener to addr, a host:port. A PublicURL that followed
// from the old address follows from the new one.
func (c *Config) SetListen(addr string) error {
	if err := value.CheckListen(addr); err != nil {
		return err
	}
	if c.Listen != "" && *c.PublicURL == *followListen(c.Listen) {
		c.PublicURL = followListen(addr)
	}
	c.Listen = addr
	return nil
}

// SetMasters puts the only site of a kind in front of the masters at urls: the
// first is its primary, the others are replicas.
func (c *Config) SetMasters(of *kind.Descriptor, urls []string) error {
	is := func(s Site) bool { return s.Kind.Name == of.Name }
	i := slices.IndexFunc(c.Sites, is)
	if i < 0 {
		return fmt.Errorf("the configuration has no %s site; write the masters there", of.Name)
	}
	if slices.ContainsFunc(c.Sites[i+1:], is) {
		return fmt.Errorf("the configuration has several %s sites; write the masters there", of.Name)
	}
	masters := make([]Master, 0, len(urls))
	for _, text := range urls {
		u, err := value.ParseBase(text)
		if err != nil && !strings.Contains(text, "@") { // the text before it may be a password
			err = fmt.Errorf("%q %w", text, err)
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(masters, func(m Master) bool { return *m.URL == *u }) {
			return fmt.Errorf("%s is given twice", u)
		}
		m := Master{URL: u, Role: RoleReplica}
		if len(masters) == 0 {
			m.Role = RolePrimary
		}
		masters = append(masters, m)
	}
	c.Sites[i].Masters = masters
	return nil
}

// Public returns the base of the URLs that clients of s are given: PublicURL
// and the site's path, without a trailing slash. A site that answers only to
// Hosts which PublicURL does not name has its first host there.
func (c *Config) Public(s *Site) *url.URL {
	u := *c.PublicURL
	if len(s.Hosts) > 0 && !slices.Contains(s.Hosts, strings.ToLower(u.Hostname())) {
		u.Host = joinHost(s.Hosts[0], u.Port())
	}
	u.Path += strings.TrimSuffix(s.Path, "/")
	return &u
}

// CertificateNames lists the hosts of the URLs that clients are given, for each of which a
// static pair must be good. There are none while the public URL only follows the listener:
// then nothing says how clients reach the edge.
func (c *Config) CertificateNames() (names []string) {
	if c.Listen != "" && *c.PublicURL == *followListen(c.Listen) {
		return nil
	}
	for i := range c.Sites {
		if name := c.Public(&c.Sites[i]).Hostname(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// CertificatesDir is where the certificates of TLS.Domains are kept.
func (c *Config) CertificatesDir() string { return filepath.Join(c.Cache.Dir, "certificates") }

// followListen returns the public URL of an edge that listens on addr and has no
// public_url. An addr of every address gives loopback.
func followListen(addr string) *url.URL {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return &url.URL{Scheme: "http", Host: addr}
	}
	if isWildcard(host) {
		host = "127.0.0.1"
	}
	if port == "80" {
		port = ""
	}
	return &url.URL{Scheme: "http", Host: joinHost(host, port)}
}

// joinHost joins a host and a port, which may be "".
func joinHost(host, port string) string {
	if port != "" {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}
