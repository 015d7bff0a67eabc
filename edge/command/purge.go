package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/fleet/figures"
	"pkgedge/edge/lockfile"
	"pkgedge/edge/report"
)

// purgeCommand is "edge purge".
type purgeCommand struct {
	Names  []string      `arg:"" optional:"" name:"what" placeholder:"PACKAGE|URL" help:"Package, pattern of packages such as '@types/*', URL, or path of a URL; in all its variants."`
	All    bool          `help:"Everything; with --site, everything of that site."`
	Site   string        `placeholder:"NAME" help:"Only in the site of that name."`
	Soft   bool          `help:"Keep the bytes as stale: a master is asked before they are used, and they still serve when none answers."`
	Wait   time.Duration `placeholder:"DURATION" help:"In a fleet, how long the other edges may take to have it in force, 20s at most. Where one has not by then, the exit code is 1."`
	DryRun bool          `help:"Change nothing: say how many stored responses would be covered."`
	jsonFlag
	adminFlags
}

// Help is the text of "edge help purge".
func (c *purgeCommand) Help() string {
	return `A purge is in force before it is answered, also for fetches under way. Then the edge looks at all it has stored, for 5 seconds at most, and says how ` +
		`many responses the purge covers. A pattern, in which * is any text without a slash, is about what is stored now; quote it for the shell. The exit code is 1 where nothing is covered.`
}

// run purges one name after the other, and goes on after a failure.
func (c *purgeCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	purges, err := c.purges()
	if err != nil {
		return exitFor(err, stderr)
	}
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	code, results := exitOK, []purgeResult{}
	for _, p := range purges {
		done, err := client.Purge(ctx, p)
		if err == nil {
			results = append(results, purgeResult{p, done})
		}
		if err == nil && c.Wait > 0 && done.Fleet != nil && done.Fleet.Applied < done.Fleet.Members {
			code = exitFor(fmt.Errorf("purged %s, but not everywhere: %s", purgeText(p), spreadText(done.Fleet)), stderr)
		}
		switch {
		case err != nil:
			code = exitFor(fmt.Errorf("cannot purge %s: %w", purgeText(p), err), stderr)
		case done.None():
			code = exitFor(fmt.Errorf("nothing that is stored is %s", purgeText(p)), stderr)
		case p.Pattern() && !done.Whole:
			code = exitFor(fmt.Errorf("purged %s as far as it was found: %s; not all that is stored could be looked at: repeat it", purgeText(p), coverText(done)), stderr)
		case !c.JSON && done.Fleet != nil && !p.DryRun:
			fmt.Fprintf(stdout, "%s: %s; %s\n", purgeVerb(p), coverText(done), spreadText(done.Fleet))
		case !c.JSON:
			fmt.Fprintf(stdout, "%s: %s\n", purgeVerb(p), coverText(done))
		}
	}
	if c.JSON {
		if err := printJSON(stdout, results); err != nil {
			return exitFor(err, stderr)
		}
	}
	return code
}

// spreadText says at how many edges a purge is in force.
func spreadText(s *figures.Spread) string {
	text := fmt.Sprintf("in force at %d of %s", s.Applied, report.Count(int64(s.Members), "edge"))
	if !s.Durable {
		text = "in force at this edge alone so far: the log of purges has not acknowledged it, and it is told when the log does"
	} else if len(s.Missing) > 0 {
		text += ", not at " + report.Printable(strings.Join(s.Missing, ", "))
	}
	return text
}

// purgeResult is one purge that was carried out, as JSON.
type purgeResult struct {
	Purge  admin.Purge  `json:"purge"`
	Covers admin.Purged `json:"covers"`
}

// purgeVerb names the deed.
func purgeVerb(p admin.Purge) string {
	switch {
	case p.DryRun:
		return "would purge " + purgeText(p)
	case p.Soft:
		return "purged " + purgeText(p) + ", kept as stale"
	}
	return "purged " + purgeText(p)
}

// coverText says how much a purge covers.
func coverText(done admin.Purged) string {
	text := report.Count(int64(done.Responses), "stored response")
	if !done.Whole {
		text = "at least " + text + ", for not all that is stored was looked at"
	}
	if done.Fetches > 0 {
		text += fmt.Sprintf(", and %d being fetched", done.Fetches)
	}
	return text
}

// purges reads the arguments.
func (c *purgeCommand) purges() ([]admin.Purge, error) {
	switch {
	case c.All && len(c.Names) > 0:
		return nil, usageError{errors.New("--all means everything: name nothing beside it")}
	case c.All:
		return []admin.Purge{{All: c.Site == "", Site: c.Site, Soft: c.Soft, DryRun: c.DryRun, Wait: c.Wait}}, nil
	case len(c.Names) == 0:
		return nil, usageError{errors.New("name a package or a URL, or say --all; see edge help purge")}
	}
	var purges []admin.Purge
	for _, name := range c.Names {
		p := admin.Purge{Site: c.Site, Soft: c.Soft, DryRun: c.DryRun, Wait: c.Wait}
		if isURL(name) {
			p.URL = name
		} else {
			var err error
			if p.Package, err = packageName(name); err != nil {
				return nil, usageError{err}
			}
		}
		purges = append(purges, p)
	}
	return purges, nil
}

// isURL reports whether an argument is a URL, or the path of one, and no package.
func isURL(text string) bool { return strings.HasPrefix(text, "/") || strings.Contains(text, "://") }

// packageName reads a package name in any of the spellings of a URL, such as
// "@scope%2fname", or a pattern of names.
func packageName(text string) (string, error) {
	name, err := url.PathUnescape(text)
	if err == nil && lockfile.ValidName(strings.ReplaceAll(name, "*", "x")) {
		return name, nil
	}
	if at := strings.LastIndexByte(name, '@'); at > 0 && lockfile.ValidName(name[:at]) {
		return "", fmt.Errorf("%q names a version: a package is purged as a whole, write %s", text, name[:at])
	}
	return "", fmt.Errorf("%q is no package name, and no URL, which begins with / or has ://", text)
}

// purgeText names the subject of a purge.
func purgeText(p admin.Purge) string {
	name := report.Printable(p.Package + p.URL)
	switch {
	case p.All:
		return "everything"
	case name == "":
		return "everything of site " + p.Site
	case p.Site != "":
		return name + " of site " + p.Site
	}
	return name
}
