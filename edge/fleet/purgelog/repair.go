package purgelog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
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

// has reports whether a log has an item, or a later purge of the same.
func (l *Log) has(ctx context.Context, s jetstream.Stream, id string, i *item) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	m, err := s.GetLastMsgForSubject(limited, i.Entry.subject())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return i.Entry.Change, nil // it may have been there for long enough
	case err != nil:
		return false, fmt.Errorf("cannot look for a purge in the log: %w", explain(err))
	}
	return i.Log != id && i.Log != "?" || m.Sequence >= i.Seq, nil
}
