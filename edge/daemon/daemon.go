package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/budget"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/admin"
	"pkgedge/edge/admin/page"
	"pkgedge/edge/changes"
	"pkgedge/edge/config"
	"pkgedge/edge/fastlane"
	"pkgedge/edge/fleet"
	"pkgedge/edge/framing"
	"pkgedge/edge/handover"
	"pkgedge/edge/limit"
	"pkgedge/edge/operator"
	"pkgedge/edge/pop"
	"pkgedge/edge/proxy"
	"pkgedge/edge/server"
	"pkgedge/edge/systemd"
	"pkgedge/origin"
	"pkgedge/origin/sample"
	"pkgedge/tls"
)

// Options are all that a daemon is given.
type Options struct {
	Config  *config.Config
	Source  config.Source  // where the configuration came from, and is read again
	Version string         // of the build, in words
	Build   admin.Build    // the same in parts
	Out     io.Writer      // for the access log and the welcome
	Greet   bool           // a person watches Out: the welcome is for them
	Log     *slog.Logger   // for everything else
	Level   *slog.LevelVar // of Log

	Upgrade bool             // take the place of the edge that runs on the cache directory
	Again   func() *exec.Cmd // starts the program again, with Upgrade; nil where that is not possible
}

// Daemon is the whole program at work: everything that a configuration starts.
type Daemon struct {
	cfg       *config.Config // of the first generation
	source    config.Source
	log       *slog.Logger
	level     *slog.LevelVar
	out       *accesslog.Writer // for the access logs and the welcome
	greet     bool
	version   string
	started   time.Time
	identity  string // this edge's name in Via and CDN-Loop
	handler   proxy.Handler
	metrics   *admin.Metrics
	history   *pastHour
	cache     *cache.Cache
	documents *origin.Documents
	masters   origin.Registry  // the knowledge of masters, which outlives generations
	samples   []*sample.Server // embedded masters; once started they stay
	certs     *tls.Manager     // nil without TLS
	server    *server.Server
	feeds     *changes.Feeds
	webhooks  changes.Webhooks
	lane      *fastlane.Lane        // nil where net/http is another one than the lane was made for
	unready   atomic.Pointer[error] // why /readyz says no; nil when ready

	upgrade     bool
	env         func(string) (string, bool)
	notify      atomic.Pointer[systemd.Notifier] // of systemd; one that tells nobody without it
	again       func() *exec.Cmd
	child       atomic.Int64     // that was started to take over; 0 for none
	taken       *handover.Taken  // the edge whose place this one takes, nil for none
	fleet       *fleet.Fleet     // the log of purges; nil for an edge alone
	leaving     atomic.Bool      // of the log of purges
	pop         *pop.Pop         // nil for an edge alone
	popListener *server.Listener // where siblings ask, nil for nowhere
	place       *handover.Offer  // of this edge, to a successor; nil where that is not possible

	counting  chan struct{} // a slot for the one that looks at everything stored
	reloading chan struct{} // a slot for the one that changes the configuration
	reloads   reloadLog
	current   atomic.Pointer[generation] // nil before there is one
}

// newDaemon makes a daemon that has opened nothing yet.
func newDaemon(o Options) *Daemon {
	d := &Daemon{
		cfg: o.Config, source: o.Source, out: accesslog.NewWriter(o.Out), log: o.Log, level: o.Level, greet: o.Greet, version: o.Version, started: time.Now(),
		upgrade: o.Upgrade, again: o.Again, env: o.Source.Env,
		identity: "edge-" + strings.ToLower(rand.Text()[:12]), metrics: admin.NewMetrics(o.Build), history: newPastHour(time.Now()), server: server.New(o.Log),
		feeds: changes.NewFeeds(o.Config.Cache.Dir, o.Log), reloading: make(chan struct{}, 1), counting: make(chan struct{}, 1),
	}
	if d.env == nil {
		d.env = func(string) (string, bool) { return "", false }
	}
	d.notify.Store(systemd.NewNotifier(d.env))
	return d
}

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
)

// Run serves a configuration until ctx is done, and then drains. SIGHUP has the
// configuration read again.
func Run(ctx context.Context, o Options) error {
	d := newDaemon(o)
	ctx, stop := context.WithCancel(ctx)
	var signals sync.WaitGroup
	defer signals.Wait()
	defer stop()
	defer d.close()
	d.unready.Store(&errStarting)
	orders, stopOrders := orders()
	defer stopOrders()
	if err := d.start(ctx); err != nil {
		return err
	}
	d.unready.Store(nil)
	d.offer()
	signals.Go(func() { d.obey(ctx, orders) })
	signals.Go(func() { d.keepAlive(ctx) })
	defer d.keepHistory(ctx)() // it ends before the cache is closed
	d.takePlace(ctx)
	d.tellSystemd((*systemd.Notifier).Ready)
	var drained time.Time
	err := d.server.Run(ctx, func() { drained = d.beginDrain() })
	d.awaitRequests(drained) // for answers of the lane, of which net/http does not know
	d.log.Info("stopping", "up", time.Since(d.started))
	return err
}

// beginDrain is the first step of a drain, and returns when that must be over.
func (d *Daemon) beginDrain() time.Time {
	d.unready.Store(&errDraining)
	limits := d.serving().cfg.Drain
	d.server.DrainDelay, d.server.DrainLimit = limits.Delay, limits.Limit
	if d.lane != nil {
		d.lane.Drain()
	}
	d.tellSystemd((*systemd.Notifier).Stopping)
	return time.Now().Add(limits.Delay + limits.Limit)
}

// start opens everything. Its error names the part that cannot be opened. The cache comes
// behind all else that may be wrong: it is taken from the edge whose place this one takes.
func (d *Daemon) start(ctx context.Context) error {
	shares := budget.Split(d.cfg.Cache.Memory)
	limitMemory(shares.Limit)
	d.openLane(shares.Lane)
	if err := d.inherit(); err != nil {
		return err
	}
	if err := d.listen(ctx); err != nil {
		return err
	}
	if err := d.openPop(ctx); err != nil {
		return err
	}
	d.closeOrphans()
	if err := d.openCacheInTurn(ctx); err != nil {
		return err
	}
	if err := d.openFleet(); err != nil {
		return err
	}
	d.documents = origin.NewDocuments(shares.Documents, d.cache)
	d.registerMetrics()
	g, err := d.build(d.cfg, nil)
	if err != nil {
		return err
	}
	d.use(g)
	d.startFleet(ctx)
	d.runPop()
	d.reloads.accepted(d.source.Name(), d.started)
	d.log.Info("started", "version", d.version, "config", d.source.Name(), "sites", len(d.cfg.Sites),
		"memory", d.cfg.Cache.Memory, "disk", d.cfg.Cache.Disk, "dir", d.cfg.Cache.Dir, "seconds", time.Since(d.started))
	if d.greet {
		return greet(d.out, d.cfg, len(d.samples) > 0)
	}
	return nil
}

func (d *Daemon) openCache(notify func(op string, err error)) (err error) {
	c := d.cfg.Cache
	d.cache, err = cache.Open(cache.Config{Memory: c.Memory, Disk: c.Disk, Dir: c.Dir, MaxObject: c.MaxObject, Notify: notify})
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}

// openLane makes the fast lane, unless it is not certain that net/http lets it be.
func (d *Daemon) openLane(memory int64) {
	if err := framing.SelfTest(); err != nil {
		d.log.Warn("the fast lane is off: hits are answered by net/http, and slower", "error", err)
		return
	}
	d.lane = fastlane.New(d.identity, int(memory/fastlane.AnswerSize))
}

// servePublic gives a listener of clients its handlers.
func (d *Daemon) servePublic(l *server.Listener) {
	l.Handler = &d.handler
	d.server.Heads = headCeiling{&d.handler.Ceilings.Heads}
	if d.lane != nil {
		l.Lane = d.lane
	}
	if d.cfg.Limits.ProxyProtocol {
		l.Proxied = &server.Proxied{Trusts: d.trusts, Refused: d.server.Refused}
	}
}

// trusts reports whether a peer is a trusted proxy of the running configuration.
func (d *Daemon) trusts(peer netip.Addr) bool {
	return limit.Within(d.serving().cfg.Limits.TrustedProxies, peer)
}

// listen opens the listeners and gives each its handler.
func (d *Daemon) listen(ctx context.Context) error {
	d.server.Refused = func() { d.metrics.Observe("", cache.Refused.String(), http.StatusBadRequest, 0, 0) }
	var plain *server.Listener
	if d.cfg.Listen != "" {
		var err error
		if plain, err = d.open(ctx, "listen", d.cfg.Listen); err != nil {
			return err
		}
		d.servePublic(plain)
	}
	if d.cfg.Admin.Listen != "" {
		l, err := d.open(ctx, "admin.listen", d.cfg.Admin.Listen)
		if err != nil {
			return err
		}
		events := page.NewEvents(d.pageSource())
		l.Ending = events.End
		l.Handler = admin.New(admin.Config{
			Token: d.cfg.Admin.Token, Listen: d.cfg.Admin.Listen,
			Purger: purger{d}, Drainer: drainer{d}, Explainer: operator.Explainer{Sites: d.sites}, Reloader: reloader{d}, Status: d.status, Ready: d.ready,
			Metrics: d.metrics.Handler(), Page: new(page.Document), Events: events, Logger: d.log,
		})
	}
	if d.cfg.TLS.Listen == "" {
		return nil
	}
	_, err := d.listenTLS(ctx, plain)
	return err
}

// listenTLS opens the encrypted listener. The authority may come to plain, which may be nil.
func (d *Daemon) listenTLS(ctx context.Context, plain *server.Listener) (*server.Listener, error) {
	l, err := d.open(ctx, "tls.listen", d.cfg.TLS.Listen)
	if err != nil {
		return nil, err
	}
	if d.certs, err = d.newCertificates(l, plain); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	d.servePublic(l)
	l.TLS = d.certs.TLSConfig()
	d.server.Tickets = d.cfg.Fleet.Seal
	if plain != nil {
		plain.Handler = d.certs.Challenges(plain.Handler)
	}
	if err := d.certs.Start(ctx); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return l, nil
}

// open opens a listener, and writes down where.
func (d *Daemon) open(ctx context.Context, key, address string) (*server.Listener, error) {
	l, err := d.server.Open(ctx, key, address)
	if err == nil {
		d.log.Info("listening", "key", key, "address", l.Addr().String())
	}
	return l, err
}

// closeLimit is how long requests that were cut may take to notice.
const closeLimit = 5 * time.Second

// close stops the parts that start opened, in the other order. Requests have ended.
func (d *Daemon) close() {
	if d.place != nil {
		d.place.Close()
	}
	if d.taken != nil {
		d.taken.Close()
	}
	d.reloading <- struct{}{} // a reload under way ends first, and there is none after
	d.server.Close()
	if d.certs != nil {
		d.certs.Close()
	}
	d.feeds.Close()
	d.closeFleet()
	d.pop.Close()
	if d.cache != nil {
		if err := d.cache.Close(); err != nil {
			d.log.Warn("cache did not close cleanly", "error", err)
		}
	}
	if g := d.serving(); g != nil {
		g.closeSites(nil)
	}
	d.awaitRequests(time.Now().Add(closeLimit))
	for _, s := range d.samples {
		s.Close()
	}
	limited, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	d.out.Flush(limited)
}

// flushLimit is how long the last lines of the access log wait for a full pipe.
const flushLimit = time.Second

// awaitRequests waits until requests have ended, or were cut and have noticed it, and are in
// the access log.
func (d *Daemon) awaitRequests(late time.Time) {
	for d.metrics.InFlight() > 0 && time.Now().Before(late) {
		time.Sleep(time.Millisecond)
	}
}

// ready says why /readyz says no, nil when the edge serves.
func (d *Daemon) ready() error {
	if why := d.unready.Load(); why != nil {
		return *why
	}
	return nil
}

// limitMemory has the collector work harder rather than let memory pass the
// budget: without it the garbage of a storm of misses counts several times as much
// as the stored responses (docs/decisions/0008 has the figures). Below the limit it works
// seldom. GOMEMLIMIT and GOGC win.
func limitMemory(limit int64) {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(limit)
	}
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(budget.GCPercent)
	}
}
