package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"

	"pkgedge/edge/config"
	"pkgedge/edge/daemon"
	"pkgedge/edge/systemd"
	"pkgedge/origin/kinds"
)

// serveCommand is "edge serve".
type serveCommand struct {
	Config  string   `placeholder:"FILE" help:"Configuration. Default: config.yaml here, else the built-in one."`
	Master  []string `placeholder:"URL" sep:"none" help:"Master of the npm site, in place of those configured. Repeatable: the first is the primary, the others are replicas."`
	Upgrade bool     `help:"Take the sockets and the place of the edge that runs on the cache directory, without refusing a request."`
	Listen  string   `placeholder:"ADDR" help:"Address of the HTTP listener, such as 127.0.0.1:8080. public_url follows, unless it says something else."`
}

// run serves until ctx ends.
func (c *serveCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	from := config.Source{Path: c.Config, Listen: c.Listen, Masters: c.Master, Kinds: kinds.All(), Env: env}
	cfg, err := from.Load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	level := new(slog.LevelVar)
	level.Set(cfg.Log.Level)
	log := newLog(stderr, level)
	for _, w := range cfg.Warnings() {
		log.Warn(w)
	}
	err = daemon.Run(ctx, daemon.Options{
		Config: cfg, Source: from, Version: version(), Build: build(), Out: stdout, Greet: isTerminal(stdout), Log: log, Level: level,
		Upgrade: c.Upgrade, Again: again(),
	})
	if err != nil {
		fmt.Fprintln(stderr, "edge:", err)
		return exitError
	}
	return exitOK
}

// newLog returns a log that writes text to a terminal, and JSON elsewhere. There a duration
// is a number of seconds, as in the access log.
func newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.Float64Value(a.Value.Duration().Seconds())
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// again returns a function that starts this program once more, to take this one's place. It is
// the file of the program that counts, which may be another one by then.
func again() func() *exec.Cmd {
	file, err := os.Executable()
	if err != nil {
		return nil
	}
	return func() *exec.Cmd {
		args := slices.Clone(os.Args[1:])
		if !slices.Contains(args, "--upgrade") {
			args = append(args, "--upgrade")
		}
		cmd := exec.Command(file, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = systemd.WithoutSockets(os.Environ())
		return cmd
	}
}
