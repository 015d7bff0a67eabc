package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"pkgedge/edge/admin"
	"pkgedge/edge/report"
)

// drainCommand is "edge drain" and "edge undrain".
type drainCommand struct {
	Site   string `arg:"" help:"Name of the site."`
	Master string `arg:"" help:"Number of the master in edge status, or its host, or its URL."`
	jsonFlag
	adminFlags
}

// Help is the text of "edge help drain".
func (c *drainCommand) Help() string {
	return `Requests under way at a drained master finish, and no new ones go there: wait until edge status shows 0 of them. ` +
		`With the primary drained nobody can log in or publish. A restart of the edge puts every master back, a reload does not.`
}

// run takes the master out of rotation, or back in.
func (c *drainCommand) run(ctx context.Context, drained bool, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	verb := "undrain"
	if drained {
		verb = "drain"
	}
	done, err := client.Drain(ctx, c.Site, c.Master, drained)
	if err != nil {
		return exitFor(fmt.Errorf("cannot %s %s of site %s: %w", verb, report.Printable(c.Master), report.Printable(c.Site), err), stderr)
	}
	if c.JSON {
		return exitFor(printJSON(stdout, done), stderr)
	}
	for _, m := range done.Masters {
		fmt.Fprintln(stdout, rotated(&done, &m))
	}
	fmt.Fprintf(stdout, "in rotation: %s\n", inRotation(done.Left))
	for _, w := range done.Warnings {
		fmt.Fprintln(stderr, "warning:", report.Printable(w))
	}
	return exitOK
}

// rotated describes the change of a master.
func rotated(done *admin.Rotation, m *admin.Master) string {
	name := fmt.Sprintf("%s (%s, number %d of site %s)", report.Printable(m.URL), masterWords(m), m.N, report.Printable(done.Site))
	switch {
	case done.Drained && m.Changed:
		return fmt.Sprintf("drained %s: no new requests, %d under way", name, m.InFlight)
	case done.Drained:
		return fmt.Sprintf("%s was drained already: %d requests under way", name, m.InFlight)
	case m.Changed:
		return "undrained " + name
	}
	return name + " was not drained"
}

// masterWords returns the role and the pool of a master: "replica", "primary for
// files".
func masterWords(m *admin.Master) string {
	scope, pool, ok := strings.Cut(m.Pool, " ")
	if !ok {
		scope, pool = "", m.Pool
	}
	words := m.Role
	if pool != report.MainPool {
		words += " for " + pool
	}
	if scope != "" {
		words += " of " + scope
	}
	return report.Printable(words)
}

// inRotation lists the masters that get requests.
func inRotation(left []admin.Master) string {
	if len(left) == 0 {
		return "none"
	}
	var all []string
	for _, m := range left {
		all = append(all, fmt.Sprintf("%s (%s)", report.Printable(m.URL), masterWords(&m)))
	}
	return strings.Join(all, ", ")
}
