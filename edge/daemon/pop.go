package daemon

import (
	"context"

	"pkgedge/edge/pop"
	"pkgedge/edge/site"
)

// openPop opens the listener for siblings, and makes the clients. An edge alone has none of it.
func (d *Daemon) openPop(ctx context.Context) (err error) {
	f := &d.cfg.Fleet
	if d.pop, err = pop.New(f, pop.Deps{Heard: siblingsHeard{d}, Identity: d.identity, Log: d.log}); err != nil || f.Listen == "" {
		return err
	}
	if d.popListener, err = d.open(ctx, "fleet.listen", f.Listen); err != nil {
		return err
	}
	d.popListener.TLS, d.popListener.Known = d.pop.TLS, true
	return nil
}

// runPop starts the work of a pop, once the cache is open.
func (d *Daemon) runPop() {
	if d.popListener != nil {
		d.popListener.Handler = d.pop.Handler(d.cache, d.sites)
	}
	d.pop.Run()
}

// sites are those that serve, none before they do.
func (d *Daemon) sites() site.Table {
	if g := d.serving(); g != nil {
		return g.Sites
	}
	return nil
}
