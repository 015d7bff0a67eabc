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

// Config describes a feed, and says where its changes go.
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

	// For names the stored responses that the changes are put in force in, and may be
	// empty. A sequence that was stored for other ones is not gone on from.
	For string

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
	unknown bool      // a change among them has no name
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
	// interval is how often a polled feed is asked, give or take a tenth: the
	// promise is that a change is seen within a second.
	interval = 800 * time.Millisecond
	// far is how many changes to come are too many for a feed that is live.
	far = 1000
	// checkEvery is how often our sequence is compared with the database's own, and
	// how long a stream is read at most.
	checkEvery = 5 * time.Minute

	shortPause = time.Second
	longPause  = time.Minute
	longestAsk = 10 * time.Minute // of a Retry-After that is obeyed
)

// Run follows the feed until ctx is done, from the sequence that is stored. It may be called
// again when it has returned.
func (f *Follower) Run(ctx context.Context) {
	at, err := load(f.cfg.Path, f.db.String(), f.cfg.For)
	if err != nil {
		f.cfg.Log.Warn("change feed: begins anew", "error", err)
	}
	f.run(ctx, at)
}

// RunFrom is Run from a sequence up to which changes are in force, by another way. "" is the
// end of the feed: all that is stored is put in doubt.
func (f *Follower) RunFrom(ctx context.Context, seq string) { f.run(ctx, sequence(seq)) }

func (f *Follower) run(ctx context.Context, at sequence) {
	defer f.leave()
	f.at, f.next, f.dirty = at, at, at != ""
	f.update(func(s *Status) { s.Sequence = string(at) })
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

// leave stores the sequence when Run ends.
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
	f.batch, f.next, f.unknown = f.batch[:0], f.at, false // changes that were not applied come again
	err := f.resume(ctx)
	for err == nil {
		switch {
		case f.cfg.Mode == Poll:
			rest(ctx, interval)
			err = f.resume(ctx)
		case f.poll:
			err = f.longpoll(ctx)
		default:
			err = f.listen(ctx)
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
	end, asked := sequence(""), false // of the feed, where a page does not say how many rows are to come
	for {
		before := f.at
		p, err := f.page(ctx, nil)
		if err != nil {
			return err
		}
		switch {
		case p.rows == 0 || f.at == before, p.pending != nil && *p.pending == 0:
			f.up()
			return nil
		case p.pending != nil:
			continue
		}
		// The server may cap its pages: this one may have more after it, or not.
		if !asked {
			asked = true
			if end, err = f.aside(ctx, f.now); ctx.Err() != nil || errors.Is(err, errSilence) {
				return err
			}
		}
		if f.at.reached(end) {
			f.up()
			return nil
		}
	}
}

// aside asks for a sequence beside the feed: while that is live for no longer than
// the feed itself may be silent, because changes are not heard meanwhile.
func (f *Follower) aside(ctx context.Context, ask func(context.Context) (sequence, error)) (sequence, error) {
	if f.live.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, silence, errSilence)
		defer cancel()
	}
	return ask(ctx)
}

// begin starts at the feed's end. That is found first, so that nothing is between
// it and the responses that are put in doubt.
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
	f.next = seq
	if err := f.reset(ctx, why); err != nil {
		return err
	}
	f.at, f.checked = seq, time.Now()
	f.store()
	f.update(func(s *Status) { s.lost = "" })
	return nil
}

// check finds out whether the database has gone back behind our sequence: some
// servers answer a sequence that they have not reached with silence. A database
// that does not tell its sequence is believed.
func (f *Follower) check(ctx context.Context) error {
	seq, err := f.aside(ctx, f.root)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errSilence):
		return err
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
		query[key], wait, late = values, silence, errSilence
	}
	a, err := f.ask(ctx, f.changes(query), wait, late)
	if err != nil {
		return page{}, err
	}
	defer a.close()
	p, err := readPage(a.Body, maxPage, func(r *row) error { return f.take(ctx, r) })
	if err != nil {
		return p, err
	}
	if err := f.reach(p.last); err != nil {
		return p, err
	}
	f.heard(p.pending)
	if p.pending != nil && *p.pending > far {
		f.down(fmt.Errorf("%d changes behind", *p.pending))
	}
	return p, f.flush(ctx)
}

// longpoll waits for the next changes, for as long as the server holds the answer
// back.
func (f *Follower) longpoll(ctx context.Context) error {
	began := time.Now()
	p, err := f.page(ctx, url.Values{"feed": {"longpoll"}, "timeout": {fmt.Sprint(longpoll.Milliseconds())}})
	if err != nil {
		f.poll, f.mute = false, 0 // it may stream again
		return err
	}
	if p.rows > 0 && (p.pending == nil || *p.pending > 0) {
		return f.resume(ctx)
	}
	due := checkEvery
	if p.rows == 0 {
		rest(ctx, interval-time.Since(began)) // a server that ends each answer at once is polled
		due = longpoll
	}
	if time.Since(f.checked) >= due {
		return f.check(ctx)
	}
	return nil
}

// listen reads a stream until it ends. The server that answers then may have another database,
// or far ahead.
func (f *Follower) listen(ctx context.Context) error {
	began := time.Now()
	err := f.stream(ctx)
	switch {
	case err == nil:
		rest(ctx, interval-time.Since(began))
		f.checked = time.Time{}
		return f.resume(ctx)
	case errors.Is(err, errSilence) && f.mute >= 2: // a proxy may hold the lines back
		f.poll = true
	case errors.Is(err, errNoStream), refuses(err):
		f.poll = true
		f.cfg.Log.Info("change feed: does not stream, longpoll from now on", "url", f.db.String(), "why", err)
		return nil
	}
	return err
}

// refuses: the server refuses the request, which was right a moment ago but for the
// form.
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
	began := time.Now()
	for l := newLines(a.Body); ; {
		r, err := l.next()
		switch {
		case err == nil && r != nil && r.ID == "" && !r.broken: // the end
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
		if err != nil || time.Since(began) > checkEvery {
			return end(err)
		}
	}
}
