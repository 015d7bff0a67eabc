package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// warmCommand is "edge warm".
type warmCommand struct {
	Lockfile []string      `arg:"" name:"lockfile" placeholder:"LOCKFILE" help:"package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock or bun.lock."`
	Edge     string        `placeholder:"URL" help:"Public URL of the edge's npm site. Default: what the edge at --admin says, or http://127.0.0.1:8080."`
	Site     string        `placeholder:"NAME" help:"Which site, where the edge at --admin has several of kind npm."`
	Jobs     int           `default:"16" help:"Requests at once: 1 to 256."`
	Timeout  time.Duration `default:"1m" help:"The longest wait for the next piece of an answer."`
	adminFlags
}

// run fetches what the lockfiles name. It ends with a summary, also when it is
// interrupted.
func (c *warmCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	if err := c.check(); err != nil {
		return exitFor(err, stderr)
	}
	plan, err := readWarmPlan(c.Lockfile)
	if err != nil {
		return exitFor(err, stderr)
	}
	base, err := c.base(ctx, env)
	if err != nil {
		return exitFor(err, stderr)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = c.Jobs
	defer transport.CloseIdleConnections()
	w := &warmer{
		client: warmClient{base: base, http: &http.Client{Transport: transport}, timeout: c.Timeout},
		tally:  newWarmTally(plan),
	}
	terminal := isTerminal(stderr, env)
	finish := showProgress(stderr, terminal, w.tally)
	w.run(ctx, plan, c.Jobs)
	finish()
	if err := w.tally.print(stdout, base, plan); err != nil {
		return exitFor(err, stderr)
	}
	if ctx.Err() != nil {
		return exitFor(errors.New("interrupted"), stderr)
	}
	if w.tally.failed() {
		return exitError
	}
	return exitOK
}

func (c *warmCommand) check() error {
	switch {
	case c.Jobs < 1 || c.Jobs > 256:
		return usageError{fmt.Errorf("--jobs: %d is not from 1 to 256", c.Jobs)}
	case c.Timeout <= 0:
		return usageError{fmt.Errorf("--timeout: %s is not more than nothing", c.Timeout)}
	case c.Edge != "" && (c.Admin != "" || c.Site != ""):
		return usageError{errors.New("--edge says where to warm already: leave out --admin and --site")}
	}
	return nil
}

// base is the URL below which packages are.
func (c *warmCommand) base(ctx context.Context, env func(string) (string, bool)) (string, error) {
	text, from := usualEdge, "--edge"
	switch {
	case c.Edge != "":
		text = c.Edge
	case c.Admin != "" || c.Site != "":
		client, err := c.client(env)
		if err != nil {
			return "", err
		}
		defer client.close()
		if text, err = client.publicSite(ctx, c.Site); err != nil {
			return "", err
		}
		from = client.base
	}
	u, err := baseURL(from, text)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// warmer fetches through the edge.
type warmer struct {
	client warmClient
	tally  *warmTally
}

// run fetches everything, that many packages at once, and returns early when ctx
// is done.
func (w *warmer) run(ctx context.Context, plan *warmPlan, jobs int) {
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
