package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"pkgedge/edge/config/node"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // something failed while running
	exitUsage = 2 // the command line or the configuration is wrong
)

// commands is the command line.
type commands struct {
	Serve  serveCommand  `cmd:"" default:"withargs" help:"Serve (the default command)."`
	Check  checkCommand  `cmd:"" help:"Check the configuration and print what would run."`
	Status statusCommand `cmd:"" help:"Print the status of a running edge; fail when it is not ready."`
	Purge  purgeCommand  `cmd:"" help:"Make a running edge forget packages, URLs or everything."`
	Warm   warmCommand   `cmd:"" help:"Fetch through an edge what lockfiles name, and verify it."`

	Top topCommand `cmd:"" help:"Show the packages that a running edge is asked for most, live."`
	Why whyCommand `cmd:"" help:"Say how a running edge would answer for a package or a URL, and what it has stored."`

	Drain   drainCommand  `cmd:"" help:"Take a master out of a running edge's rotation."`
	Undrain drainCommand  `cmd:"" help:"Put a drained master back."`
	Reload  reloadCommand `cmd:"" help:"Have a running edge read its configuration again."`

	Fleet fleetCommand `cmd:"" help:"Make the log of purges of a fleet, or say how a running edge reads it."`

	Help struct {
		Command []string `arg:"" optional:"" help:"Command to explain."`
	} `cmd:"" help:"Explain edge, or one command."`
	Version    jsonFlag          `cmd:"" help:"Print the version."`
	Completion completionCommand `cmd:"" help:"Print the completion of the command line for a shell."`
	Man        manCommand        `cmd:"" help:"Print the manual page."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`
}

// Run executes the command line args and returns the exit code. The end of ctx ends
// any command.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	var line commands
	explained := false
	parser, err := kong.New(&line,
		kong.Name("edge"),
		kong.Description("A cache in front of a package registry, which answers on when every master is down."),
		kong.Writers(stdout, stderr),
		kong.Vars{"version": "edge " + version()},
		kong.Exit(func(int) { explained = true }), // --help and --version call it
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
		fmt.Fprintf(stderr, "edge: %v; see edge help\n", mistyped(err, parser, args))
		return exitUsage
	}
	switch strings.Fields(parsed.Command())[0] {
	case "help":
		return Run(ctx, append(line.Help.Command, "--help"), stdout, stderr, env)
	case "version":
		if line.Version.JSON {
			return exitFor(printJSON(stdout, build()), stderr)
		}
		fmt.Fprintln(stdout, "edge", version())
		return exitOK
	case "completion":
		return line.Completion.run(parser.Model, stdout, stderr)
	case "man":
		return line.Man.run(parser.Model, stdout, stderr)
	case "check":
		return line.Check.run(ctx, stdout, stderr, env)
	case "status":
		return line.Status.run(ctx, stdout, stderr, env)
	case "purge":
		return line.Purge.run(ctx, stdout, stderr, env)
	case "top":
		return line.Top.run(ctx, stdout, stderr, env)
	case "why":
		return line.Why.run(ctx, stdout, stderr, env)
	case "warm":
		return line.Warm.run(ctx, stdout, stderr, env)
	case "fleet":
		return line.Fleet.run(ctx, stdout, stderr, env)
	case "drain":
		return line.Drain.run(ctx, true, stdout, stderr, env)
	case "undrain":
		return line.Undrain.run(ctx, false, stdout, stderr, env)
	case "reload":
		return line.Reload.run(ctx, stdout, stderr, env)
	}
	return line.Serve.run(ctx, stdout, stderr, env)
}

// mistyped is the error of a command line, which names the command that may have been meant:
// for the parser the name of an unknown one is an argument of serve.
func mistyped(err error, parser *kong.Kong, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return err
	}
	var names []string
	for _, c := range parser.Model.Children {
		names = append(names, c.Name)
	}
	switch near := node.Nearest(args[0], names); {
	case slices.Contains(names, args[0]):
		return err
	case near != "":
		return fmt.Errorf("there is no command %q: did you mean %s?", args[0], near)
	}
	return fmt.Errorf("there is no command %q", args[0])
}

// A usageError is a mistake in the command line or in the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitFor prints the error and returns the exit code for it.
func exitFor(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "edge:", err)
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitError
}
