package daemon

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"pkgedge/edge/admin"
	"pkgedge/edge/systemd"
)

// orders returns a channel of the SIGHUPs and SIGUSR2s of this process, and a function that
// ends it. See docs/decisions/0015-sighup-reloads.md.
func orders() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGHUP, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// obey reloads at each SIGHUP, and starts a successor at each SIGUSR2, until ctx ends.
func (d *Daemon) obey(ctx context.Context, orders <-chan os.Signal) {
	for {
		var order os.Signal
		select {
		case <-ctx.Done():
			return
		case order = <-orders:
		}
		if order == syscall.SIGUSR2 {
			d.respawn()
			continue
		}
		d.tellSystemd((*systemd.Notifier).Reloading)
		if _, err := d.reload(ctx); errors.Is(err, admin.ErrNotNow) {
			d.log.Warn("no reload", "error", err)
		}
		d.tellSystemd((*systemd.Notifier).Ready)
	}
}
