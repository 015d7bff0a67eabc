package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/report"
)

// whyCommand is "edge why".
type whyCommand struct {
	Name string `arg:"" name:"what" placeholder:"PACKAGE|URL" help:"Package, URL, or path of a URL."`
	Site string `placeholder:"NAME" help:"Only in the site of that name."`
	jsonFlag
	adminFlags
}

// Help is the text of "edge help why".
func (c *whyCommand) Help() string {
	return `Says whether the response to a request is stored and how old it is, which digest its bytes must have and which master they are from, and how a request ` +
		`without a credential would be answered now. No master is asked. Of a package it is the document that is looked at. The exit code is 1 where nothing is stored.`
}

// run prints the explanation.
func (c *whyCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	q := admin.Question{Site: c.Site}
	if isURL(c.Name) {
		q.URL = c.Name
	} else {
		var err error
		if q.Package, err = packageName(c.Name); err != nil {
			return exitFor(usageError{err}, stderr)
		}
	}
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	all, text, err := client.Explain(ctx, q)
	if err != nil {
		return exitFor(fmt.Errorf("cannot explain %s: %w", report.Printable(c.Name), err), stderr)
	}
	code := exitError
	for i := range all {
		if all[i].Stored != nil {
			code = exitOK
		}
		if !c.JSON {
			_, err = io.WriteString(stdout, whyText(&all[i], time.Now()))
		}
	}
	if c.JSON {
		_, err = stdout.Write(text)
	}
	if err != nil {
		return exitFor(err, stderr)
	}
	return code
}

// whyText writes an explanation for a person.
func whyText(w *admin.Why, now time.Time) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", name, strings.TrimSpace(report.Printable(fmt.Sprintf(format, args...))))
	}
	fmt.Fprintf(&b, "%s\n", report.Printable(fmt.Sprintf("%s of site %s: %s", w.What, w.Site, w.Path)))
	if w.Withheld != "" {
		line("withheld", "%s", w.Withheld)
	}
	if s := w.Stored; s != nil {
		line("stored", "status %d, in %s, %s old", s.Status, strings.Join(s.Tiers, " and "), report.Age(time.Duration(s.Age)*time.Second))
		from := "a master that is not known"
		if s.Master != "" {
			from = s.Master
		}
		line("from", "%s, received or validated %s ago", from, report.Age(now.Sub(s.Fetched)))
		for _, v := range s.Variants {
			words := strings.Fields(v.Name + " " + v.Encoding + " " + v.ETag)
			line("bytes", "%s %s", report.HumanBytes(v.Bytes), strings.Join(words, ", "))
		}
		if s.ETag != "" || s.LastModified != "" {
			line("validator", "%s", strings.Join(strings.Fields(s.ETag+" "+s.LastModified), " "))
		}
	} else {
		line("stored", "no")
	}
	if w.Digest != "" {
		line("digest", "%s", w.Digest)
	}
	line("now", "answered %s", w.Now)
	line("outage", "answered %s", w.Outage)
	return b.String()
}
