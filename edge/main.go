package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"pkgedge/edge/config"
	"pkgedge/origin/kinds"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // something failed while running
	exitUsage = 2 // the command line or the configuration is wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains. From then on signals act as they do by default:
	// the second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.LookupEnv))
}

// commands is the command line.
type commands struct {
	Serve struct {
		Config string   `placeholder:"FILE" help:"Configuration. Default: config.yaml here, else the built-in one."`
		Master []string `placeholder:"URL" sep:"none" help:"Master of the npm site, in place of those configured. Repeatable: the first is the primary, the others are replicas."`
		Listen string   `placeholder:"ADDR" help:"Address of the HTTP listener, such as 127.0.0.1:8080. public_url follows, unless it says something else."`
	} `cmd:"" default:"withargs" help:"Serve (the default command)."`
	Check struct {
		Config string `placeholder:"FILE" help:"Configuration. Default: config.yaml here, else the built-in one."`
	} `cmd:"" help:"Check the configuration and print what would run."`
	Status statusCommand `cmd:"" help:"Print the status of a running edge; fail when it is not ready."`
	Purge  purgeCommand  `cmd:"" help:"Make a running edge forget packages, URLs or everything."`
	Warm   warmCommand   `cmd:"" help:"Fetch through an edge what lockfiles name, and verify it."`

	Drain   drainCommand  `cmd:"" help:"Take a master out of a running edge's rotation."`
	Undrain drainCommand  `cmd:"" help:"Put a drained master back."`
	Reload  reloadCommand `cmd:"" help:"Have a running edge read its configuration again."`

	Help struct {
		Command []string `arg:"" optional:"" help:"Command to explain."`
	} `cmd:"" help:"Explain edge, or one command."`
	Version struct{} `cmd:"" help:"Print the version."`
}

// run executes the command line args and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	var line commands
	explained := false
	parser, err := kong.New(&line,
		kong.Name("edge"),
		kong.Description("A cache in front of a package registry, which answers on when every master is down."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { explained = true }), // --help asks to exit
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "edge:", err)
		return exitError
	}
	parsed, err := parser.Parse(args)
	if explained {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "edge: %v; see edge help\n", err)
		return exitUsage
	}
	switch strings.Fields(parsed.Command())[0] {
	case "help":
		return run(ctx, append(line.Help.Command, "--help"), stdout, stderr, env)
	case "version":
		info, _ := debug.ReadBuildInfo()
		fmt.Fprintln(stdout, "edge", version(info))
		return exitOK
	case "check":
		return check(line.Check.Config, stdout, stderr, env)
	case "status":
		return line.Status.run(ctx, stdout, stderr, env)
	case "purge":
		return line.Purge.run(ctx, stdout, stderr, env)
	case "warm":
		return line.Warm.run(ctx, stdout, stderr, env)
	case "drain":
		return line.Drain.run(ctx, true, stdout, stderr, env)
	case "undrain":
		return line.Undrain.run(ctx, false, stdout, stderr, env)
	case "reload":
		return line.Reload.run(ctx, stdout, stderr, env)
	}
	from := config.Source{Path: line.Serve.Config, Listen: line.Serve.Listen, Masters: line.Serve.Master, Kinds: kinds.All(), Env: env}
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
	if err := serve(ctx, cfg, from, stdout, log, level); err != nil {
		fmt.Fprintln(stderr, "edge:", err)
		return exitError
	}
	return exitOK
}

// check prints what the configuration at path would run.
func check(path string, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	from := config.Source{Path: path, Kinds: kinds.All(), Env: env}
	cfg, err := from.Load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	fmt.Fprintf(stdout, "%-11s %s\n", "config", from.Name())
	if err := cfg.Print(stdout); err != nil {
		fmt.Fprintln(stderr, "edge:", err)
		return exitError
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(stderr, "warning:", w)
	}
	return exitOK
}

// newLog writes text where a person reads it, and JSON elsewhere.
func newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.New(slog.NewTextHandler(w, options))
		}
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// version says what was built, from what and with which Go. info may be nil.
func version(info *debug.BuildInfo) string {
	if info == nil {
		return "(unknown)"
	}
	words := []string{info.Main.Version}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			words = append(words, s.Value)
		case s.Key == "vcs.modified" && s.Value == "true":
			words = append(words, "(modified)")
		}
	}
	return strings.TrimSpace(strings.Join(append(words, info.GoVersion), " "))
}
