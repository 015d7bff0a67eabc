package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/warm"
	"pkgedge/origin/kinds"
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

// run fetches the packages of the lockfiles. It prints a summary, also when it is
// interrupted.
func (c *warmCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	if err := c.check(); err != nil {
		return exitFor(err, stderr)
	}
	plan, err := warm.ReadPlan(c.Lockfile)
	if err != nil {
		return exitFor(usageError{err}, stderr)
	}
	base, err := c.base(ctx, env)
	if err != nil {
		return exitFor(err, stderr)
	}
	tally := warm.Run(ctx, plan, warm.Options{
		Edge: base, Jobs: c.Jobs, Timeout: c.Timeout, Progress: stderr, Terminal: isTerminal(stderr) && rewritesLines(env),
	})
	if err := tally.Print(stdout, base); err != nil {
		return exitFor(err, stderr)
	}
	if ctx.Err() != nil {
		return exitFor(errors.New("interrupted"), stderr)
	}
	if tally.Failed() {
		return exitError
	}
	return exitOK
}

// check finds mistakes in the flags.
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

// base returns the URL below which the edge serves packages.
func (c *warmCommand) base(ctx context.Context, env func(string) (string, bool)) (string, error) {
	text, from := usualEdge, "--edge"
	switch {
	case c.Edge != "":
		text = c.Edge
	case c.url(env) != "" || c.Site != "":
		client, err := c.client(env)
		if err != nil {
			return "", err
		}
		defer client.Close()
		if text, err = publicSite(ctx, client, c.Site); err != nil {
			return "", err
		}
		from = client.Base()
	}
	u, err := baseURL(from, text)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// publicSite returns the public URL of a site whose clients have lock files: the
// one of that name, or the only one.
func publicSite(ctx context.Context, client *admin.Client, name string) (string, error) {
	_, doc, err := client.Status(ctx)
	if err != nil {
		return "", err
	}
	var public, names, of []string
	for _, d := range kinds.All() {
		if d.Lockfiles {
			of = append(of, d.Name)
		}
	}
	for _, s := range doc.Sites {
		if slices.Contains(of, s.Kind) && (name == "" || s.Name == name) {
			public, names = append(public, s.Public), append(names, s.Name)
		}
	}
	wanted := strings.Join(of, " or ")
	switch {
	case len(public) == 1:
		return public[0], nil
	case name != "":
		return "", usageError{fmt.Errorf("--site: %s has no site %q of kind %s", client.Base(), name, wanted)}
	case len(public) == 0:
		return "", usageError{fmt.Errorf("%s has no site of kind %s", client.Base(), wanted)}
	}
	return "", usageError{fmt.Errorf("%s has several sites of kind %s: choose with --site one of %s", client.Base(), wanted, strings.Join(names, ", "))}
}
