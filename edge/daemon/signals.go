package daemon

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"pkgedge/edge/admin"
)

// hangups are the SIGHUPs of this process: an operator's, who wants a reload, or
// those of a terminal that was closed, in which the edge was started by hand.
type hangups struct {
	signals  chan os.Signal
	terminal bool // there was one, whose end ends the edge
}

func newHangups() *hangups {
	h := &hangups{signals: make(chan os.Signal, 1)}
	h.terminal = !signal.Ignored(syscall.SIGHUP) && hasTerminal() // ignored is nohup
	signal.Notify(h.signals, syscall.SIGHUP)
	return h
}

func (h *hangups) stop() { signal.Stop(h.signals) }

// hasTerminal: the process has a controlling terminal.
func hasTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// reloadOnHangup reloads at each SIGHUP until ctx ends, or stops with its terminal.
func (d *Daemon) reloadOnHangup(ctx context.Context, h *hangups, stop func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.signals:
		}
		if h.terminal && !hasTerminal() {
			d.log.Warn("the terminal is gone: stopping; use nohup to stay")
			stop()
			return
		}
		if _, err := d.reload(ctx); errors.Is(err, admin.ErrNotNow) {
			d.log.Warn("no reload", "error", err)
		}
	}
}
