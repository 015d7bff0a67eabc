package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/purge"
	"pkgedge/edge/handover"
	"pkgedge/edge/server"
	"pkgedge/edge/systemd"
)

// An upgrade puts another process in the place of this one (docs/decisions/0029). SIGUSR2
// starts it, or an operator does, with --upgrade. Both halves are here: the edge that is
// replaced, and its successor.

// sharedState is the knowledge that a successor has besides the cache.
type sharedState struct {
	Drained []drainedMaster `json:"drained,omitempty"`
}

type drainedMaster struct {
	Site string `json:"site"`
	URL  string `json:"url"`
}

// lockPatience is how long a successor waits for the cache directory of an edge that ends.
const lockPatience = time.Minute

// tellAtOnce is how many purges fit a message to the successor.
const tellAtOnce = 64

// inherit takes the sockets that systemd has opened, and with Options.Upgrade those of the
// running edge.
func (d *Daemon) inherit() error {
	sockets, err := systemd.Sockets(d.env)
	if err != nil {
		return err
	}
	keys := []string{"listen", "tls.listen", "admin.listen"}
	for _, s := range sockets {
		known := slices.Contains(keys, s.Name)
		in := server.Socket{Listener: s.Listener, Sure: known}
		if known {
			in.Key = s.Name
		}
		d.server.Inherit([]server.Socket{in})
	}
	if !d.upgrade {
		return nil
	}
	taken, err := handover.Take(d.cfg.Cache.Dir, d.version)
	refused := (*handover.Refused)(nil)
	switch {
	case errors.Is(err, handover.ErrNobody):
		d.log.Info("no edge runs on the cache directory: nothing to take over", "dir", d.cfg.Cache.Dir)
	case errors.As(err, &refused):
		d.log.Warn("the running edge does not hand over, its end is waited for", "reason", refused.Reason)
	case err != nil:
		return err
	default:
		d.taken = taken
		for _, s := range taken.Sockets {
			d.server.Inherit([]server.Socket{{Listener: s.Listener, Key: s.Key}})
		}
		d.log.Info("taking over", "from", taken.Version, "pid", taken.PID)
	}
	return nil
}

// closeOrphans closes the sockets that the configuration has no use for.
func (d *Daemon) closeOrphans() {
	for _, addr := range d.server.Orphans() {
		d.log.Warn("a socket was inherited that the configuration does not name: it is closed", "address", addr)
	}
}

// openCacheInTurn opens the cache, once the running edge has left its directory.
func (d *Daemon) openCacheInTurn(ctx context.Context) error {
	if d.taken != nil {
		if err := d.taken.Ready(); err != nil && !errors.Is(err, handover.ErrGone) {
			return fmt.Errorf("cannot take over: %w", err)
		}
	}
	notify := func(op string, err error) { d.log.Warn("cache trouble", "op", op, "error", err) }
	for late := time.Now().Add(lockPatience); ; {
		err := d.openCache(notify)
		if !d.upgrade || !errors.Is(err, cache.ErrInUse) || time.Now().After(late) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// takePlace has the edge that was replaced drain, and hears of the changes of its last requests.
func (d *Daemon) takePlace(ctx context.Context) {
	if d.taken == nil {
		return
	}
	var state sharedState
	if err := json.Unmarshal(d.taken.State, &state); err != nil {
		d.log.Warn("the state of the edge that was replaced is not known", "error", err)
	}
	for _, m := range state.Drained {
		if _, err := (drainer{d}).Drain(ctx, m.Site, m.URL, true); err != nil {
			d.log.Warn("a master that was drained is not any more", "master", m.URL, "error", err)
		}
	}
	d.cache.Forward(func(all ...purge.Purge) error { return tell(all, d.taken.Tell) })
	if err := d.taken.Serving(d.purgeTold); err != nil {
		d.log.Info("the edge that was replaced is gone", "error", err)
		return
	}
	d.log.Info("took over", "pid", d.taken.PID)
}

// offer has a successor take this edge's place.
func (d *Daemon) offer() {
	dir := d.cfg.Cache.Dir
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		d.place, err = handover.Listen(dir, d.version, predecessor{d})
	}
	if err != nil {
		d.log.Warn("an upgrade without a gap is not possible", "error", err)
	}
}

// predecessor is the edge that is replaced.
type predecessor struct{ *Daemon }

func (p predecessor) Sockets() ([]handover.Socket, any, error) {
	if err := p.ready(); err != nil {
		return nil, nil, fmt.Errorf("it is %w", err)
	}
	var all []handover.Socket
	for _, s := range p.server.Sockets() {
		all = append(all, handover.Socket{Listener: s.Listener, Key: s.Key})
	}
	var state sharedState
	for _, s := range p.serving().Sites {
		for _, pool := range poolsOf(s) {
			for _, m := range pool.Masters {
				if m.Drained {
					state.Drained = append(state.Drained, drainedMaster{s.Name, m.URL})
				}
			}
		}
	}
	return all, state, nil
}

// Release leaves the cache directory, and with it the places of the feeds. There is no reload
// from then on until the successor serves or fails.
func (p predecessor) Release() error {
	p.reloading <- struct{}{}
	p.log.Info("another edge takes over: it has the cache directory from now on")
	p.feeds.Close()
	p.closeFleet()
	p.cache.Forward(func(all ...purge.Purge) error { return tell(all, p.place.Tell) })
	return p.cache.Release()
}

// tell has purges in force in the other process, too.
func tell(all []purge.Purge, other func(any) error) error {
	for some := range slices.Chunk(all, tellAtOnce) {
		if err := other(some); err != nil {
			return fmt.Errorf("purge is in force here, but not in the other edge: %w", err)
		}
	}
	return nil
}

// purgeTold puts purges in force that the other process tells of.
func (d *Daemon) purgeTold(text json.RawMessage) error {
	var all []purge.Purge
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	return errors.Join(d.cache.Forwarded(all...), d.announce(false, all...))
}

func (p predecessor) Apply(change json.RawMessage) error { return p.purgeTold(change) }

func (p predecessor) Replaced(pid int) {
	p.unready.Store(&errDraining) // before a reload may begin
	<-p.reloading
	if int64(pid) == p.child.Load() {
		p.tellSystemd(func(n *systemd.Notifier) error { return n.Main(pid) })
		p.notify.Store(new(systemd.Notifier)) // the service is another process: it speaks from now on
	}
	p.log.Info("replaced", "pid", pid)
	p.server.HandOver()
}

func (p predecessor) Failed(err error, released bool) {
	if !released {
		p.log.Warn("an edge that wanted to take over went away", "error", err)
		return
	}
	<-p.reloading
	p.log.Error("the edge that took over went away: this one goes on, and writes nothing to disk. Start another one with --upgrade, or restart this one", "error", err)
}

// respawn starts the program again, to take over.
func (d *Daemon) respawn() {
	if d.again == nil {
		d.log.Warn("no upgrade: this edge does not know how it was started")
		return
	}
	if err := d.ready(); err != nil {
		d.log.Warn("no upgrade", "error", fmt.Errorf("this edge is %w", err))
		return
	}
	if d.child.Load() != 0 {
		d.log.Warn("no upgrade: one is under way", "pid", d.child.Load())
		return
	}
	cmd := d.again()
	if err := cmd.Start(); err != nil {
		d.log.Error("upgrade failed, this edge goes on", "error", err)
		return
	}
	d.child.Store(int64(cmd.Process.Pid))
	d.log.Info("upgrading", "program", cmd.Path, "pid", cmd.Process.Pid)
	go func() { // as long as this process lives, and it may end first
		err := cmd.Wait()
		d.child.Store(0)
		d.log.Error("the edge that was to take over has ended", "state", cmd.ProcessState.String(), "error", err)
	}()
}

// keepAlive keeps systemd's watchdog from ending the process, for as long as its parts answer.
func (d *Daemon) keepAlive(ctx context.Context) {
	every := d.notify.Load().Watchdog() / 3
	if every <= 0 {
		return
	}
	ping := time.NewTicker(every)
	defer ping.Stop()
	for {
		select {
		case <-ping.C:
		case <-ctx.Done():
			return
		}
		d.status() // takes the locks of all parts: one that is stuck is the end of the process
		d.tellSystemd((*systemd.Notifier).Alive)
	}
}

func (d *Daemon) tellSystemd(say func(*systemd.Notifier) error) {
	if err := say(d.notify.Load()); err != nil {
		d.log.Warn("systemd was not told", "error", err)
	}
}
