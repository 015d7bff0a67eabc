package purgelog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pkgedge/cache/purge"
)

// lookAtOnce is how many purges are looked for in the log at a time.
const lookAtOnce = 16

// repair publishes again those purges of this edge that the log had acknowledged, and has not
// any more. Acknowledgements of a cluster may be lost with the power.
func (l *Log) repair(ctx context.Context, js jetstream.JetStream) error {
	kept := l.outbox.acknowledged()
	if len(kept) == 0 {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	s, err := js.Stream(asking, Stream)
	if err != nil {
		return fmt.Errorf("cannot look at the stream %s: %w", Stream, err)
	}
	id, err := idOf(s.CachedInfo())
	if err != nil {
		return err
	}
	lost := make(map[string]bool)
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	slots := make(chan struct{}, lookAtOnce)
	for _, i := range kept {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			has, err := l.has(ctx, s, id, &i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			} else if !has {
				lost[i.ID] = true
			}
		})
	}
	all.Wait()
	if len(lost) > 0 {
		var again []Entry
		for _, i := range kept {
			if lost[i.ID] {
				again = append(again, i.Entry)
			}
		}
		l.cfg.Log.Warn("log of purges: it has lost purges of this edge: they are published again", "purges", len(again))
		if _, err := l.announce(again); err != nil {
			return err
		}
		l.outbox.forget(lost)
		l.counts.repaired.Add(int64(len(again)))
	}
	return failed
}

// wideKept is for how long a purge of a site, or of everything, is published again. Where the log
// has lost one everything is validated once more in any case, and an older one would empty all
// caches for the sake of edges that were off for that long.
const wideKept = 24 * time.Hour

// needless reports whether an item that is not in the log need not be there any more.
func (i *item) needless(now time.Time) bool {
	wide := i.Entry.Scope == purge.All || i.Entry.Scope == purge.Site
	return i.Entry.Change || wide && now.Sub(i.At) > wideKept // a change ends by itself
}

// has reports whether a log has an item, or a later purge of the same, or need not have it.
func (l *Log) has(ctx context.Context, s jetstream.Stream, id string, i *item) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	m, err := s.GetLastMsgForSubject(limited, i.Entry.subject())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return i.needless(time.Now()), nil
	case err != nil:
		return false, fmt.Errorf("cannot look for a purge in the log: %w", explain(err))
	}
	return i.Log != id && i.Log != "?" || m.Sequence >= i.Seq, nil
}
