package origin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
)

// Config describes a site's origin.
type Config struct {
	Site        string // its name, for the log
	Kind        kind.Descriptor
	PublicBase  string // URL under which clients reach the site, without a final slash
	Masters     []Upstream
	Files       []Upstream // where files come from instead of Masters, when set
	First       int        // number of the first of them in the status
	Credentials string     // Authorization of every fetch and probe, instead of the client's; "" for none
	Probe       Probe
	Timeouts    Timeouts
	MaxMetadata int64      // bytes of a decoded metadata document
	Documents   *Documents // shared by all sites; nil for a bound of its own
	Identity    string     // this edge's name in Via and CDN-Loop

	// Digests returns the document that lists a file's digest, see
	// kind.Kind.Lists. With renew it is validated with a master first.
	// h is the fields of the request for the file.
	Digests func(ctx context.Context, list kind.Route, h http.Header, renew bool) ([]byte, error)

	MinimumAge time.Duration // see kind.Options
	Settings   kind.Settings // of the kind's own keys

	// Observe is told how each request to a master ended: "200", "timeout",
	// "refused", …: a small set. It may be nil.
	Observe func(master, result string)

	// Log is told when a master goes out of rotation or comes back, when an outage
	// begins and ends, and of every file that is not what it should be. It may be
	// nil.
	Log *slog.Logger
}

// Upstream is one master as configured.
type Upstream struct {
	URL     *url.URL // may have a base path
	Primary bool     // takes the writes; exactly one
	Spare   bool     // asked when no other is healthy
}

// Timeouts bound every wait for a master.
type Timeouts = transport.Timeouts

// Sink takes the response to a fetch. A streamed response is one Respond and
// then Writes; a held one is a Hold, and then for each part a Part and Writes,
// and is released when the fetch returns nil. A Respond with status 304 says
// that the response asked about still holds. An error of any method means that
// the response is not wanted, and ends the fetch.
type Sink interface {
	Respond(status int, h http.Header, size int64) error
	Hold(status int, h http.Header, parts int) error
	Part(variant, contentType, encoding string) error
	Write(p []byte) (int, error)
}

// Ask is one fetch.
type Ask struct {
	Route kind.Route

	// Header holds fields of the client's request to be sent along, and is nil
	// where a response must not depend on the client.
	Header http.Header

	// ETag and LastModified are validators from an earlier response; both empty
	// for an unconditional request.
	ETag, LastModified string

	// Memo is what the kind noted of the stored response that the answer would
	// replace, nil for none.
	Memo []byte

	// Stale says that there is something to answer with if this fails. Such a
	// fetch is given up sooner than others where masters are short of room.
	Stale bool

	// Followed says that a feed announces each change of the metadata, so that what
	// the primary says of it lives long. The primary is asked first while nobody
	// waits for it, and what another master says is marked with Age.
	Followed bool

	// The rest is for plain routes.
	Head           bool                            // a HEAD, not a GET
	Range, IfRange string                          // ask for a part of the representation
	Interim        func(status int, h http.Header) // is told of 1xx responses; may be nil
}

// Site is the origin of one site. It is safe for concurrent use.
type Site struct {
	kind.Kind
	pool        *pool
	files       *pool // for files; the same one, unless they have masters of their own
	documents   *Documents
	digests     func(ctx context.Context, list kind.Route, h http.Header, renew bool) ([]byte, error)
	maxMetadata int64
	patience    time.Duration // see digestPatience
	policed     bool          // some files may be withheld
	held        held
}

// New returns a site's origin.
func New(cfg Config) (*Site, error) {
	if cfg.Kind.New == nil {
		return nil, fmt.Errorf("no such kind of site: %q", cfg.Kind.Name)
	}
	k, err := cfg.Kind.New(kind.Options{PublicBase: cfg.PublicBase, MinimumAge: cfg.MinimumAge, Settings: cfg.Settings})
	if err != nil {
		return nil, err
	}
	w, ok := k.(kind.Withholder)
	if len(cfg.Masters) == 0 {
		return nil, fmt.Errorf("a site needs a master")
	}
	s := &Site{
		Kind:        k,
		pool:        newPool(cfg, poolOfAll, cfg.Masters, cfg.First),
		documents:   cfg.Documents,
		digests:     cfg.Digests,
		patience:    digestPatience,
		maxMetadata: cfg.MaxMetadata,
		policed:     ok && w.Withholds(),
	}
	if s.documents == nil {
		s.documents = NewDocuments(64<<20, unlimited{})
	}
	s.files = s.pool
	if len(cfg.Files) > 0 {
		s.files = newPool(cfg, poolOfFiles, cfg.Files, cfg.First+len(cfg.Masters))
		s.files.pins = s.pool.pins
	}
	for _, p := range s.pools() {
		p.start()
	}
	return s, nil
}

// Close ends the probes and lets go of idle connections. Fetches have ended.
func (s *Site) Close() {
	for _, p := range s.pools() {
		p.close()
	}
}

// Fetch asks the masters and writes the response to sink.
func (s *Site) Fetch(ctx context.Context, a Ask, sink Sink) error {
	var err error
	if a.Route.Class == kind.Metadata {
		err = s.fetchMetadata(ctx, a, sink)
	} else {
		err = s.fetchFile(ctx, a, sink)
	}
	if err != nil {
		return fmt.Errorf("cannot fetch %s %q: %w", a.Route.Endpoint, a.Route.Key, err)
	}
	return nil
}
