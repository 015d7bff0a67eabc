package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pkgedge/edge/fleet/lease"
	"pkgedge/edge/fleet/purgelog"
)

// aloneAfter is how long an edge goes without the log before it follows feeds itself.
const aloneAfter = time.Minute

// look is how often an edge looks whether it is cut off from the log.
const look = time.Second

// Follow has one edge at a time follow the feed of a site, at a URL. It calls do each time that
// this one is to: under a lease, for all edges, and without the log for longer than a minute, for
// itself. from is the sequence of the feed up to which all changes are in force here. It is "" where
// there is none: the feed begins anew, or with own, where this edge has stopped. state is told to
// the others. Follow returns when ctx is done and do has returned.
func (f *Fleet) Follow(ctx context.Context, site, url string, state func() (live bool, seq string), do func(ctx context.Context, from string, own bool)) {
	turn := make(chan struct{}, 1) // one of the two at a time
	var both sync.WaitGroup
	both.Go(func() { f.lead(ctx, turn, site, url, state, do) })
	both.Go(func() { f.alone(ctx, turn, site, url, do) })
	both.Wait()
}

// Heard reports whether another edge follows the feed of a site, and all its changes are in force
// here within a moment.
func (f *Fleet) Heard(site, url string) (live bool, edge string) {
	s, live := f.log.Feed(site)
	return live && s.URL == url, s.Edge
}

// Follows reports whether this edge follows the feed of a site for all.
func (f *Fleet) Follows(site string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.follows[site] > 0
}

func (f *Fleet) countFollow(site string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follows[site] += n
}

// lead follows the feed under the lease.
func (f *Fleet) lead(ctx context.Context, turn chan struct{}, site, url string, state func() (bool, string), do func(context.Context, string, bool)) {
	select {
	case <-f.connected:
	case <-ctx.Done():
		return
	}
	f.mu.Lock()
	js := f.js
	f.mu.Unlock()
	before := ""
	h := lease.Holder{JS: js, Key: "feed." + site, Name: f.cfg.Name, For: f.deps.Lease, Note: func(err error) {
		if text := err.Error(); text != before { // it is tried each two seconds
			f.deps.Log.Warn("fleet: this edge cannot follow the change feed for all", "site", site, "error", err)
			before = text
		}
	}}
	h.Run(ctx, func(held context.Context) {
		from, err := f.log.FeedPlace(held, js, site, url)
		if err != nil || !take(held, turn) {
			return
		}
		defer func() { <-turn }()
		f.countFollow(site, 1)
		defer f.countFollow(site, -1)
		stop := f.log.TellFeed(site, func() (purgelog.FeedState, bool) {
			live, seq := state()
			return purgelog.FeedState{Live: live, Seq: seq, URL: url}, seq != ""
		})
		defer stop()
		f.deps.Log.Info("fleet: this edge follows the change feed for all", "site", site, "seq", from)
		do(held, from, false)
	})
}

// take takes the turn, unless ctx is done first.
func take(ctx context.Context, turn chan struct{}) bool {
	select {
	case turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// alone follows the feed while the log is not live for long.
func (f *Fleet) alone(ctx context.Context, turn chan struct{}, site, url string, do func(context.Context, string, bool)) {
	after := f.deps.Alone
	if after == 0 {
		after = aloneAfter
	}
	cutOff := func() bool { return !f.log.Live() && time.Since(f.log.LastLive()) >= after }
	for ctx.Err() == nil {
		rest(ctx, min(look, after))
		if !cutOff() || !take(ctx, turn) {
			continue
		}
		from := ""
		if s, _ := f.log.Feed(site); s.URL == url {
			from = s.Seq
		}
		f.deps.Log.Warn("fleet: the log of purges is not live for long: this edge follows the change feed itself", "site", site, "seq", from)
		until, end := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() {
			defer end()
			for until.Err() == nil && !f.log.Live() {
				rest(until, min(look, after))
			}
		})
		do(until, from, from == "")
		end()
		watching.Wait()
		<-turn
	}
}

// rest waits for a while, or until ctx is done.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// engine makes the connection known to those that wait for it.
func (f *Fleet) engine(js jetstream.JetStream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.js = js
	close(f.connected)
}
