package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// take adds a row to the batch. A broken one without a name may be about
// anything.
func (f *Follower) take(ctx context.Context, r *row) error {
	if r.broken {
		f.update(func(s *Status) { s.Skipped++ })
		f.unknown = f.unknown || r.ID == ""
	}
	if err := f.reach(r.Seq); err != nil {
		return err
	}
	if c, ok := r.change(); ok {
		f.batch = append(f.batch, c)
	}
	if len(f.batch) >= maxBatch {
		return f.flush(ctx)
	}
	return nil
}

// reach notes a sequence of the feed: "" is none.
func (f *Follower) reach(seq sequence) error {
	if seq.before(f.next) {
		return fmt.Errorf("%w: the feed is at %s, and was at %s", errReset, seq.short(), f.next.short())
	}
	if seq != "" {
		f.next = seq
	}
	return nil
}

// flush puts the batch in force, and then stores its sequence.
func (f *Follower) flush(ctx context.Context) error {
	if f.unknown {
		if err := f.reset(ctx, "a change has no name that can be read"); err != nil {
			return err
		}
		f.unknown = false
	}
	if n := len(f.batch); n > 0 {
		if err := f.cfg.Apply(ctx, f.batch); err != nil {
			return fmt.Errorf("cannot put changes in force: %w", err)
		}
		f.update(func(s *Status) { s.Changes += int64(n); s.LastChange = time.Now() })
		f.cfg.Log.Debug("change feed: in force", "changes", n, "last", f.batch[n-1].Name, "seq", string(f.next.short()))
		f.batch = f.batch[:0]
	}
	if f.at != f.next {
		f.at, f.dirty = f.next, true
		f.update(func(s *Status) { s.Sequence = string(f.at) })
	}
	if f.dirty && time.Since(f.saved) >= saveEvery {
		f.store()
	}
	return nil
}

// reset puts all that is stored in doubt.
func (f *Follower) reset(ctx context.Context, why string) error {
	f.cfg.Log.Warn("change feed: what is stored is in doubt", "url", f.db.String(), "seq", string(f.next.short()), "why", why)
	if err := f.cfg.Reset(ctx, why); err != nil {
		return fmt.Errorf("cannot put what is stored in doubt: %w", err)
	}
	f.update(func(s *Status) { s.Resets++ })
	return nil
}

// store writes the state file. Without one a restart begins anew, which costs
// validations and nothing else.
func (f *Follower) store() {
	f.saved, f.dirty = time.Now(), false
	if err := save(f.cfg.Path, stored{URL: f.db.String(), For: f.cfg.For, Sequence: f.at}); err != nil {
		f.cfg.Log.Warn("change feed: cannot store its sequence", "path", f.cfg.Path, "error", err)
	}
	f.update(func(s *Status) { s.Sequence = string(f.at) })
}

// end is nil for an answer that ended as it should.
func end(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
