package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pkgedge/edge/admin"
	"pkgedge/edge/report"
)

// reloadCommand is "edge reload".
type reloadCommand struct {
	jsonFlag
	adminFlags
}

// Help is the text of "edge help reload".
func (c *reloadCommand) Help() string {
	return `The same as SIGHUP. Requests under way end as they began; caches, budgets, and what is known of the masters stay. ` +
		`With any mistake in the file the configuration in use stays, and the exit code is 2. edge check tries a file beforehand.`
}

// run reloads. It prints mistakes of the configuration as "edge check" does.
func (c *reloadCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	done, err := client.Reload(ctx)
	if refused := (*admin.Refused)(nil); errors.As(err, &refused) {
		for _, m := range refused.Mistakes {
			fmt.Fprintln(stderr, m)
		}
		return exitFor(usageError{refused}, stderr)
	}
	if err != nil {
		return exitFor(fmt.Errorf("cannot reload: %w", err), stderr)
	}
	if c.JSON {
		return exitFor(printJSON(stdout, done), stderr)
	}
	if len(done.Changed) == 0 {
		fmt.Fprintf(stdout, "reloaded %s: nothing has changed\n", report.Printable(done.Config))
	} else {
		fmt.Fprintf(stdout, "reloaded %s, changed:\n", report.Printable(done.Config))
	}
	for _, key := range done.Changed {
		fmt.Fprintf(stdout, "  %s\n", report.Printable(key))
	}
	for _, w := range done.Warnings {
		fmt.Fprintln(stderr, "warning:", report.Printable(w))
	}
	return exitOK
}
