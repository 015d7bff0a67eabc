package daemon

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"pkgedge/edge/admin"
)

// hangups returns a channel of the SIGHUPs of this process, and a function that
// ends it. See docs/decisions/0015-sighup-reloads.md.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// reloadOnHangup reloads at each SIGHUP until ctx ends.
func (d *Daemon) reloadOnHangup(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		if _, err := d.reload(ctx); errors.Is(err, admin.ErrNotNow) {
			d.log.Warn("no reload", "error", err)
		}
	}
}
