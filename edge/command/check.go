package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"pkgedge/edge/config"
	"pkgedge/edge/preflight"
	"pkgedge/origin/kinds"
)

// checkCommand is "edge check".
type checkCommand struct {
	Config string `placeholder:"FILE" help:"Configuration. Default: config.yaml here, else the built-in one."`
	Schema bool   `help:"Print the JSON Schema of configurations, for editors, with the comments of FILE as descriptions, and nothing else."`
	Online bool   `help:"Also look whether the ports are free, the sizes fit this machine, and every master answers as one of its kind."`
	jsonFlag
}

// Help is the text of "edge help check".
func (c *checkCommand) Help() string {
	return `The exit code is 2 where the configuration has mistakes. With --online it is 1 where the machine or a master does not fit it: each master is asked once, for 10 seconds at most.`
}

// checked is the result of "edge check", as JSON.
type checked struct {
	Config   string              `json:"config"` // the file, or "built in"
	Mistakes []string            `json:"mistakes,omitempty"`
	Warnings []string            `json:"warnings,omitempty"`
	Online   []preflight.Finding `json:"online,omitempty"`
}

// run prints the settings that the configuration would run with.
func (c *checkCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	from := config.Source{Path: c.Config, Kinds: kinds.All(), Env: env}
	if c.Schema {
		return c.schema(stdout, stderr)
	}
	cfg, err := from.Load()
	result, code := checked{Config: from.Name()}, exitOK // which Load has chosen
	if err != nil {
		result.Mistakes, code = strings.Split(err.Error(), "\n"), exitUsage
	} else {
		result.Warnings = cfg.Warnings()
	}
	if err == nil && c.Online {
		result.Online = preflight.Check(ctx, cfg)
		for _, f := range result.Online {
			if f.Wrong {
				code = exitError
			}
		}
	}
	if c.JSON {
		err = printJSON(stdout, result)
	} else {
		err = result.print(stdout, stderr, cfg)
	}
	if err != nil {
		return exitFor(err, stderr)
	}
	return code
}

// schema prints the schema of configurations.
func (c *checkCommand) schema(stdout, stderr io.Writer) int {
	var text []byte
	if c.Config != "" {
		var err error
		if text, err = os.ReadFile(c.Config); err != nil {
			return exitFor(usageError{err}, stderr)
		}
	}
	return exitFor(printJSON(stdout, config.Schema(kinds.All(), text)), stderr)
}

// print writes the result for a person: the settings and the findings to stdout, and all that
// wants a change to stderr.
func (r *checked) print(stdout, stderr io.Writer, cfg *config.Config) error {
	for _, m := range r.Mistakes {
		fmt.Fprintln(stderr, m)
	}
	if len(r.Mistakes) > 0 {
		return nil
	}
	fmt.Fprintf(stdout, "%-11s %s\n", "config", r.Config)
	err := cfg.Print(stdout)
	for _, w := range r.Warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	if len(r.Online) > 0 {
		_, failed := fmt.Fprintln(stdout, "\nonline")
		err = errors.Join(err, failed)
	}
	for _, f := range r.Online {
		mark := "ok"
		if f.Wrong {
			mark = "!!"
		}
		fmt.Fprintf(stdout, "  %s %s: %s\n", mark, f.Key, f.Text)
	}
	return err
}
