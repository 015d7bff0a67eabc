package fetch

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"pkgedge/origin/documents"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

// Sink takes the response to a fetch. A streamed response is one Respond and
// then Writes. One that is released whole is a RespondWhole, and then a Part and Writes
// for each part, until the fetch returns nil. A Respond with status 304 confirms the
// stored response. An error of any method means that the response is not wanted,
// and ends the fetch.
type Sink interface {
	Respond(status int, h http.Header, size int64) error
	RespondWhole(status int, h http.Header, parts int) error
	Part(variant, contentType, encoding string) error
	Write(p []byte) (int, error)
}

// spooler is a Sink that can keep a streamed response from its readers. Spool is a Respond
// of which they get nothing before Release, or before the fetch returns nil, and is false
// where there is no place for the bytes: then nothing has begun. A later Spool or Respond
// begins anew. Spooled is false once the response has been released, also by the sink itself,
// where the place for the bytes has failed.
type spooler interface {
	Spool(status int, h http.Header, size int64) bool
	Release()
	Spooled() bool
}

// blameless is a sink whose errors, of a full disk or of clients that left, are held
// against no master.
type blameless struct{ to Sink }

func unwanted(err error) error {
	if err == nil {
		return nil
	}
	return &health.Ours{Word: "unwanted", Err: err}
}

func (b blameless) Respond(status int, h http.Header, size int64) error {
	return unwanted(b.to.Respond(status, h, size))
}

func (b blameless) RespondWhole(status int, h http.Header, parts int) error {
	return unwanted(b.to.RespondWhole(status, h, parts))
}

func (b blameless) Part(variant, contentType, encoding string) error {
	return unwanted(b.to.Part(variant, contentType, encoding))
}

func (b blameless) Write(p []byte) (int, error) {
	n, err := b.to.Write(p)
	return n, unwanted(err)
}

func (b blameless) Spool(status int, h http.Header, size int64) bool {
	s, ok := b.to.(spooler)
	return ok && s.Spool(status, h, size)
}

func (b blameless) Release() {
	if s, ok := b.to.(spooler); ok {
		s.Release()
	}
}

func (b blameless) Spooled() bool {
	s, ok := b.to.(spooler)
	return ok && s.Spooled()
}

// Tag passes on the edge's own ETag, where the sink takes one.
func (b blameless) Tag(etag string) {
	if t, ok := b.to.(interface{ Tag(etag string) }); ok {
		t.Tag(etag)
	}
}

// From tells a sink which master answers, where it wants to know.
func (b blameless) From(master string) {
	if t, ok := b.to.(interface{ From(master string) }); ok {
		t.From(master)
	}
}

// answering tells a sink which master answers.
func answering(s Sink, m *health.Master) {
	if t, ok := s.(interface{ From(master string) }); ok {
		t.From(m.Name())
	}
}

// Masters are asked for documents and files.
type Masters interface {
	// Each asks masters until use accepts a response.
	Each(ctx context.Context, r pool.Request, use pool.Use) error
	// Send asks one master, which is answering already, for something that goes
	// with its answer. cancel ends ctx.
	Send(ctx context.Context, cancel context.CancelCauseFunc, m *health.Master, r *pool.Request) (*http.Response, error)
	// Observe tells the metrics of something at a master.
	Observe(m *health.Master, word string)
	// BadCopy has a master asked last for a file, and says whether that is new.
	BadCopy(m *health.Master, key string) bool
}

// Config describes a site's fetcher.
type Config struct {
	Kind        kind.Kind
	Masters     Masters
	Files       Masters // for files
	Writes      *pool.RecentWrites
	Documents   *documents.Memory
	Deferred    *Deferred     // nil for a memory of its own
	MaxMetadata int64         // bytes of a decoded document
	Policed     bool          // some files may be withheld
	KeepRaw     bool          // documents are stored as masters sent them, too
	DigestWait  time.Duration // for the digest of a file that is at hand; 0 for 2 s
	Spool       SpoolTimes
}

// Fetcher fetches for one site. It is safe for concurrent use.
type Fetcher struct {
	kind           kind.Kind
	masters, files Masters
	writes         *pool.RecentWrites
	documents      *documents.Memory
	deferred       *Deferred
	layouts        layouts
	maxMetadata    int64
	digestWait     time.Duration
	lonely         time.Duration
	spool          SpoolTimes
	policed        bool
	keepRaw        bool
	readers        sync.Pool // *bufio.Reader of copyBuffer bytes
}

// New returns a fetcher.
func New(cfg Config) *Fetcher {
	if cfg.Deferred == nil {
		cfg.Deferred = NewDeferred()
	}
	if cfg.Documents == nil {
		cfg.Documents = documents.New(documents.Split(64<<20), unlimited{})
	}
	if cfg.DigestWait == 0 {
		cfg.DigestWait = digestWait
	}
	if cfg.Spool == (SpoolTimes{}) {
		cfg.Spool = spoolTimes
	}
	return &Fetcher{
		kind: cfg.Kind, masters: cfg.Masters, files: cfg.Files, writes: cfg.Writes,
		documents: cfg.Documents, deferred: cfg.Deferred, maxMetadata: cfg.MaxMetadata,
		digestWait: cfg.DigestWait, lonely: lonely, spool: cfg.Spool, policed: cfg.Policed, keepRaw: cfg.KeepRaw,
	}
}

// Fetch asks the masters and writes the response to sink.
func (f *Fetcher) Fetch(ctx context.Context, r pool.Request, sink Sink) error {
	var err error
	if r.Route.Class == kind.Metadata {
		err = f.fetchMetadata(ctx, r, blameless{sink})
	} else {
		err = f.fetchFile(ctx, r, blameless{sink})
	}
	if err != nil {
		path, _, _ := strings.Cut(r.Route.Path, "?") // a query may be a secret
		return fmt.Errorf("cannot fetch %s %q: %w", r.Route.Endpoint, path, err)
	}
	return nil
}

// pace is the rate that a fetch expects. The first master that sends less is left, once, for
// another may be faster; if none is, the next one may be as slow as it is.
type pace struct {
	least time.Duration // before which nobody is too slow
	rate  int64         // bytes a second
	left  bool          // a master was left
}

func (f *Fetcher) pace() pace { return pace{least: f.spool.Least, rate: f.spool.Rate} }

// of is a body that fails with transport.ErrSlow where it is too slow, and the master may be left.
func (p *pace) of(body io.ReadCloser, mayLeave func() bool) io.ReadCloser {
	return &pacedBody{ReadCloser: body, pace: p, mayLeave: mayLeave}
}

type pacedBody struct {
	io.ReadCloser
	*pace
	mayLeave func() bool
	begun    time.Time
	got      int64
	err      error // bufio reads on after an error
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	now := time.Now()
	if b.got == 0 {
		b.begun = now
	}
	b.got += int64(n)
	if spent := now.Sub(b.begun); err == nil && !b.left && b.tooSlow(spent, b.got) && b.mayLeave() {
		b.left, b.err = true, transport.ErrSlow
	}
	return n, cmp.Or(err, b.err)
}

func (p *pace) tooSlow(spent time.Duration, got int64) bool {
	return spent >= p.least && float64(got) < float64(p.rate)*spent.Seconds()
}

// unlimited lends to a site that was given no bound for documents.
type unlimited struct{}

func (unlimited) ShrinkMemory(int64) bool { return true }
func (unlimited) GrowMemory(int64)        {}
