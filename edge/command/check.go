package command

import (
	"fmt"
	"io"
	"strings"

	"pkgedge/edge/config"
	"pkgedge/origin/kinds"
)

// checkCommand is "edge check".
type checkCommand struct {
	Config string `placeholder:"FILE" help:"Configuration. Default: config.yaml here, else the built-in one."`
	jsonFlag
}

// verdict is the result of "edge check" as JSON.
type verdict struct {
	Config   string   `json:"config"` // the file, or "built in"
	Mistakes []string `json:"mistakes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// run prints the settings that the configuration would run with.
func (c *checkCommand) run(stdout, stderr io.Writer, env func(string) (string, bool)) int {
	from := config.Source{Path: c.Config, Kinds: kinds.All(), Env: env}
	cfg, err := from.Load()
	if c.JSON {
		v := verdict{Config: from.Name()}
		if err != nil {
			v.Mistakes = strings.Split(err.Error(), "\n")
		} else {
			v.Warnings = cfg.Warnings()
		}
		if failed := printJSON(stdout, v); failed != nil {
			return exitFor(failed, stderr)
		}
		if err != nil {
			return exitUsage
		}
		return exitOK
	}
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
