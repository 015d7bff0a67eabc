package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pkgedge/edge/config"
	"pkgedge/edge/fleet"
	"pkgedge/edge/fleet/purgelog"
	"pkgedge/edge/report"
	"pkgedge/origin/kinds"
)

// fleetCommand is "edge fleet".
type fleetCommand struct {
	Do       string `arg:"" name:"init|status" enum:"init,status" help:"init makes the log of purges at the NATS servers of the configuration, once for a fleet. status says how a running edge reads it."`
	Config   string `placeholder:"FILE" help:"Configuration, for init. Default: config.yaml here."`
	Replicas int    `default:"3" placeholder:"N" help:"How many servers have the log, for init: 3, or 1 where there is one server alone."`
	jsonFlag
	adminFlags
}

// Help is the text of "edge help fleet".
func (c *fleetCommand) Help() string {
	return `init changes nothing that is there, and says what it has made. An edge never makes the log: a log that was lost would come back empty, and nobody would know. ` +
		`The exit code of status is 0 while the log is live, 1 where it is not, purges of this edge wait for it, or the edge cannot be reached; and 2 where the edge is in no fleet.`
}

func (c *fleetCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	if c.Do == "init" {
		return c.init(ctx, stdout, stderr, env)
	}
	return c.status(ctx, stdout, stderr, env)
}

// init makes the log and the leases.
func (c *fleetCommand) init(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	from := config.Source{Path: c.Config, Kinds: kinds.All(), Env: env}
	cfg, err := from.Load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if len(cfg.Fleet.NATS) == 0 {
		return exitFor(usageError{fmt.Errorf("%s: fleet.nats is empty: list the NATS servers", from.Name())}, stderr)
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		return exitFor(usageError{errors.New("--replicas: write a number from 1 to 5, such as 3")}, stderr)
	}
	made, err := fleet.Init(ctx, &cfg.Fleet, c.Replicas)
	if err != nil {
		return exitFor(fmt.Errorf("%w; with one NATS server alone, say --replicas 1", err), stderr)
	}
	if c.JSON {
		return exitFor(printJSON(stdout, made), stderr)
	}
	fmt.Fprintf(stdout, "%s the log of purges, stream %s, with id %s\n", madeOrFound(made.NewLog), purgelog.Stream, report.Printable(made.Log))
	fmt.Fprintf(stdout, "%s the leases, bucket %s\n", madeOrFound(made.NewKeys), made.Leases)
	fmt.Fprintf(stdout, "%s the certificates, bucket %s\n", madeOrFound(made.NewCertificates), made.Certificates)
	return exitOK
}

func madeOrFound(made bool) string {
	if made {
		return "made"
	}
	return "there was"
}

// status prints the fleet as a running edge sees it.
func (c *fleetCommand) status(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	_, doc, err := client.Status(ctx)
	if err != nil {
		return exitFor(err, stderr)
	}
	f := doc.Fleet
	if f == nil {
		return exitFor(usageError{errors.New("this edge is in no fleet: its configuration has no fleet")}, stderr)
	}
	if c.JSON {
		err = printJSON(stdout, f)
	} else {
		_, err = io.WriteString(stdout, f.Text())
	}
	switch {
	case err != nil || f.Log == nil:
	case !f.Log.Live:
		err = fmt.Errorf("the log of purges is not live: %s", report.Printable(f.Log.Why))
	case f.Log.Outbox > 0:
		err = fmt.Errorf("%s of this edge not yet in the log", report.Count(int64(f.Log.Outbox), "purge"))
	}
	return exitFor(err, stderr)
}
