package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is the form of a feed.
type Mode string

const (
	Couch Mode = "couch" // CouchDB: continuous, or longpoll where that gets nothing
	Poll  Mode = "poll"  // plain pages only: the public replication API
)

// Config describes a feed and what becomes of its changes.
type Config struct {
	// URL is that of the database, such as https://registry.example/registry, or
	// of its _changes. Its credentials, if any, are not sent.
	URL  *url.URL
	Mode Mode

	// Transport asks the server; see [NewTransport]. It is the follower's own:
	// idle connections are closed when Run ends.
	Transport http.RoundTripper

	// Path is the file that the sequence is kept in, beside which files are made.
	Path string

	// Apply puts changes in force, up to 1,000 at a time, some of them perhaps
	// for a second time. When it returns nil they are, for good: the sequence is
	// stored after it. On an error the same changes come again.
	Apply func(context.Context, []Change) error

	// Reset is called when changes may have been missed, and why: everything
	// stored before is in doubt. On an error it is called again.
	Reset func(ctx context.Context, why string) error

	// Log is told when the feed comes and goes. It may be nil.
	Log *slog.Logger
}

// Follower follows one feed. Its methods are safe for concurrent use.
type Follower struct {
	cfg  Config
	db   *url.URL
	live atomic.Bool

	// Run's own.
	at      sequence // up to here, changes are in force; "" for nothing known
	next    sequence // up to here, they are in batch
	batch   []Change
	saved   time.Time // when the state file was written
	dirty   bool      // it is behind
	checked time.Time // when at was compared with the database's own
	poll    bool      // longpoll, for the server does not stream
	mute    int       // streams in a row that gave nothing

	mu     sync.Mutex
	status Status
}

// New returns a follower, which does nothing until it is run.
func New(cfg Config) *Follower {
	db := *cfg.URL
	db.User, db.RawQuery, db.Fragment, db.RawPath = nil, "", "", ""
	db.Path = strings.TrimSuffix(strings.TrimSuffix(db.Path, "/"), "/_changes")
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{cfg: cfg, db: &db}
	f.status = Status{URL: db.String(), Mode: cfg.Mode, Since: time.Now(), Why: "not started"}
	return f
}

const (
	// interval is how often a polled feed is asked, give or take a tenth: it is
	// what the public API's users do, and the promise is a second.
	interval = time.Second
	// few is how many changes a page may have and still count as the last one,
	// where the server does not say: a busy feed never has an empty one.
	few = 100
	// checkEvery is how often our sequence is compared with the database's own.
	checkEvery = 5 * time.Minute

	shortPause = time.Second
	longPause  = time.Minute
	longestAsk = 10 * time.Minute // of a Retry-After that is obeyed
)

// Run follows the feed until ctx is done. It is called once.
func (f *Follower) Run(ctx context.Context) {
	defer f.leave()
	var err error
	if f.at, err = load(f.cfg.Path, f.db.String()); err != nil {
		f.cfg.Log.Warn("change feed: begins anew", "error", err)
	}
	f.next = f.at
	for pause := shortPause; ctx.Err() == nil; {
		began := time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		f.down(err)
		if time.Since(began) > longPause { // it went well for a while
			pause = shortPause
		}
		wait := pause
		if refused := (*statusError)(nil); errors.As(err, &refused) {
			wait = max(wait, min(refused.after, longestAsk))
		}
		rest(ctx, wait)
		pause = min(2*pause, longPause)
	}
}

// rest waits that long, give or take a tenth: edges that were cut off together
// must not come back together.
func rest(ctx context.Context, d time.Duration) {
	d = max(d, 0)
	t := time.NewTimer(d - d/10 + rand.N(d/5+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// leave stores what is known, when Run ends.
func (f *Follower) leave() {
	f.down(errors.New("stopped"))
	if f.dirty {
		f.store()
	}
	if t, ok := f.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// follow goes on from where we are until something goes wrong.
func (f *Follower) follow(ctx context.Context) error {
	f.batch, f.next = f.batch[:0], f.at // what was not applied comes again
	err := f.resume(ctx)
	for err == nil {
		if f.cfg.Mode == Poll {
			rest(ctx, interval)
			err = f.resume(ctx)
			continue
		}
		began, news := time.Now(), false
		if news, err = f.listen(ctx); err == nil && !news {
			rest(ctx, interval-time.Since(began)) // a server that ends each answer at once is polled
		}
	}
	var refused *statusError
	if errors.Is(err, errReset) || errors.As(err, &refused) && refused.unknownSince() {
		f.lose(err)
	}
	return err
}

// resume reads pages until the feed is caught up with.
func (f *Follower) resume(ctx context.Context) error {
	if f.at == "" {
		if err := f.begin(ctx); err != nil {
			return err
		}
	} else if time.Since(f.checked) > checkEvery || !f.live.Load() {
		if err := f.check(ctx); err != nil {
			return err
		}
	}
	for {
		p, err := f.page(ctx, nil)
		if err != nil {
			return err
		}
		switch {
		case p.rows == 0, p.pending != nil && *p.pending == 0, p.pending == nil && p.rows <= few:
			f.up()
			return nil
		}
	}
}

// begin starts at the feed's end. That is found first, so that nothing is between
// it and what is put in doubt.
func (f *Follower) begin(ctx context.Context) error {
	seq, err := f.now(ctx)
	if err != nil {
		return err
	}
	why := "no sequence of this feed is stored"
	f.mu.Lock()
	if f.status.lost != "" {
		why = f.status.lost
	}
	f.mu.Unlock()
	f.cfg.Log.Warn("change feed: begins at its end, and what is stored is in doubt", "url", f.db.String(), "seq", string(seq), "why", why)
	if err := f.cfg.Reset(ctx, why); err != nil {
		return fmt.Errorf("cannot put what is stored in doubt: %w", err)
	}
	f.at, f.next, f.checked = seq, seq, time.Now()
	f.store()
	f.update(func(s *Status) { s.Resets++; s.lost = "" })
	return nil
}

// check finds out whether the database has gone back behind our sequence: some
// servers answer a sequence that they have not reached with silence. A database
// that does not tell its sequence is believed.
func (f *Follower) check(ctx context.Context) error {
	seq, err := f.root(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.checked = time.Now()
	if err == nil && seq.before(f.at) {
		return fmt.Errorf("%w: the database is at %s, and we were at %s", errReset, seq.short(), f.at.short())
	}
	return nil
}

// lose forgets the sequence: the feed begins anew.
func (f *Follower) lose(why error) {
	f.at, f.next, f.batch = "", "", f.batch[:0]
	f.update(func(s *Status) { s.lost = why.Error() })
}

// page reads one page, or with more in the query, waits for the next change.
func (f *Follower) page(ctx context.Context, more url.Values) (page, error) {
	wait, late := pageTime, errSlow
	if f.live.Load() { // and would not be told of changes meanwhile
		wait, late = silence, errSilence
	}
	query := url.Values{"since": {string(f.at)}, "limit": {fmt.Sprint(maxRows)}}
	for key, values := range more {
		query[key], wait, late = values, longpoll+silence, errSilence
	}
	a, err := f.ask(ctx, f.changes(query), wait, late)
	if err != nil {
		return page{}, err
	}
	defer a.close()
	p, err := readPage(a.Body, func(r *row) error { return f.take(ctx, r) })
	if err != nil {
		return p, err
	}
	if err := f.reach(p.last); err != nil {
		return p, err
	}
	f.heard(p.pending)
	return p, f.flush(ctx)
}

// listen waits for changes: on a stream, or where there is none, by longpoll. It
// returns when the server has ended its answer, and says whether to ask again at
// once.
func (f *Follower) listen(ctx context.Context) (again bool, err error) {
	if f.poll {
		p, err := f.page(ctx, url.Values{"feed": {"longpoll"}, "timeout": {fmt.Sprint(longpoll.Milliseconds())}})
		if err != nil {
			f.poll, f.mute = false, 0 // it may stream again
		}
		return p.rows > 0, err
	}
	err = f.stream(ctx)
	switch {
	case errors.Is(err, errSilence) && f.mute >= 2: // a proxy may hold the lines back
		f.poll = true
		return false, err
	case errors.Is(err, errNoStream), refuses(err):
		f.poll = true
		f.cfg.Log.Info("change feed: does not stream, longpoll from now on", "url", f.db.String(), "why", err)
		return true, nil
	}
	return false, err
}

// refuses: the server does not want what it was asked, which was right a moment
// ago but for the form.
func refuses(err error) bool {
	var refused *statusError
	if !errors.As(err, &refused) || refused.unknownSince() {
		return false
	}
	switch refused.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

// stream reads a continuous feed.
func (f *Follower) stream(ctx context.Context) error {
	query := url.Values{"since": {string(f.at)}, "feed": {"continuous"}, "heartbeat": {fmt.Sprint(heartbeat.Milliseconds())}}
	f.mute++
	a, err := f.ask(ctx, f.changes(query), silence, errSilence)
	if err != nil {
		return err
	}
	defer a.close()
	for l := newLines(a.Body); ; {
		r, err := l.next()
		switch {
		case errors.Is(err, errRow):
			err = f.take(ctx, nil)
		case err == nil && r != nil && r.ID == "": // the end
			err = f.reach(r.Last)
		case err == nil && r != nil:
			err = f.take(ctx, r)
		}
		if err == nil {
			f.mute = 0
			a.heard() // a whole line: bytes that drip are no news
			f.heard(nil)
			if l.more() {
				continue
			}
		}
		if flushed := f.flush(ctx); flushed != nil {
			return flushed
		}
		if err != nil {
			return end(err)
		}
	}
}
