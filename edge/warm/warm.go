package warm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Options say how to warm an edge.
type Options struct {
	Edge     string        // URL of the npm site, without a slash at its end
	Jobs     int           // packages at once
	Timeout  time.Duration // longest wait for the next piece of an answer
	Progress io.Writer
	Terminal bool // Progress is a terminal that can rewrite a line
}

// Run fetches through the edge every package and tarball of the plan, and
// returns the counts. It returns early when ctx ends.
func Run(ctx context.Context, plan *Plan, o Options) *Tally {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = o.Jobs
	defer transport.CloseIdleConnections()
	w := &warmer{
		client: client{base: o.Edge, http: &http.Client{Transport: transport}, timeout: o.Timeout},
		tally:  newTally(plan),
	}
	finish := showProgress(o.Progress, o.Terminal, w.tally)
	w.run(ctx, plan, o.Jobs)
	finish()
	return w.tally
}

// warmer is a run.
type warmer struct {
	client client
	tally  *Tally
}

// run fetches the plan, that many packages at once. It returns early when ctx ends.
func (w *warmer) run(ctx context.Context, plan *Plan, jobs int) {
	queue := make(chan wantedPackage)
	var workers sync.WaitGroup
	for range min(jobs, len(plan.packages)) {
		workers.Go(func() {
			for p := range queue {
				w.warm(ctx, p)
			}
		})
	}
	for _, p := range plan.packages {
		select {
		case queue <- p:
		case <-ctx.Done():
		}
	}
	close(queue)
	workers.Wait()
}

// warm fetches a package's metadata and then its tarballs.
func (w *warmer) warm(ctx context.Context, p wantedPackage) {
	versions, got, err := w.client.packument(ctx, p)
	if ctx.Err() != nil {
		return
	}
	w.tally.packument(p, got, err)
	if err != nil {
		return
	}
	for _, v := range p.versions {
		d, listed := versions[v.version]
		checks := v.checks
		if len(checks) == 0 {
			checks = d.checks()
		}
		got, err := w.client.tarball(ctx, p.name, d.file(v, p.name), checks)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !listed {
			err = fmt.Errorf("%w (the packument has no such version)", err)
		}
		w.tally.tarball(p.name+"@"+v.version, got, digestSource(v, checks), err)
	}
}
