package purgelog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// FeedState is a registry's change feed, as the edge tells that follows it. In the log it
// stands behind all changes up to there.
type FeedState struct {
	Live bool   `json:"live"`
	Seq  string `json:"seq"` // of the feed, up to which all changes are in the log
	URL  string `json:"url"` // the feed that the sequence is of
	Edge string `json:"edge"`
}

type heardFeed struct {
	FeedState
	at time.Time
}

// TellFeed has the state of a site's feed told with each tick, until stop is called.
func (l *Log) TellFeed(site string, state func() (FeedState, bool)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.telling[site] = state
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.telling, site)
	}
}

// tellFeeds publishes the states of the feeds that this edge follows. A state is taken first:
// then an empty outbox means that all changes up to there are in the log.
func (l *Log) tellFeeds(ctx context.Context, js jetstream.JetStream) {
	l.mu.Lock()
	telling := maps.Clone(l.telling)
	l.mu.Unlock()
	states := make(map[string]FeedState, len(telling))
	for site, state := range telling {
		if s, ok := state(); ok {
			s.Edge = l.cfg.Name
			states[site] = s
		}
	}
	if l.outbox.len() > 0 {
		return
	}
	for site, s := range states {
		data, err := json.Marshal(s)
		if err != nil {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, l.every())
		_, err = js.PublishMsg(limited, &nats.Msg{Subject: feedSubject + token(site), Data: data}, jetstream.WithExpectStream(Stream), jetstream.WithRetryAttempts(0))
		cancel()
		if err != nil {
			return
		}
	}
}

// maxFeeds bounds the feeds that are heard of: others' messages are not trusted to be few.
const maxFeeds = 1024

// hearFeed notes the state of a feed. One that is read while this edge is behind is old.
func (l *Log) hearFeed(site string, data []byte) {
	var s FeedState
	if json.Unmarshal(data, &s) != nil {
		return
	}
	s.Live = s.Live && l.Live()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.feeds[site]; !ok && len(l.feeds) >= maxFeeds {
		return
	}
	l.feeds[site] = heardFeed{s, time.Now()}
}

// Feed is the newest state of a site's feed that was heard, and whether all its changes are in
// force here within a moment.
func (l *Log) Feed(site string) (s FeedState, live bool) {
	l.mu.Lock()
	h := l.feeds[token(site)]
	l.mu.Unlock()
	return h.FeedState, h.Live && l.Live() && time.Since(h.at) < missedTicks*l.every()
}

// FeedPlace is the sequence of a site's feed up to which all changes are in the log, and in force
// here. It is "" for none. It waits until the log is live.
func (l *Log) FeedPlace(ctx context.Context, js jetstream.JetStream, site, url string) (string, error) {
	if err := l.AwaitLive(ctx); err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	s, err := js.Stream(limited, Stream)
	if err != nil {
		return "", fmt.Errorf("cannot look at the stream %s: %w", Stream, err)
	}
	log, err := idOf(s.CachedInfo())
	if err != nil {
		return "", err
	}
	m, err := s.GetLastMsgForSubject(limited, feedSubject+token(site))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot look for the state of a feed: %w", explain(err))
	}
	var state FeedState
	if json.Unmarshal(m.Data, &state) != nil || state.URL != url {
		return "", nil
	}
	return state.Seq, l.Await(ctx, log, m.Sequence)
}
