package command

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/edge/admin"
	"pkgedge/edge/report"
)

// statusCommand is "edge status".
type statusCommand struct {
	Watch  bool `help:"Look again and again, until it is interrupted. With --json a document in each line."`
	Strict bool `help:"Exit with 1 where clients notice a problem, too: where a line begins with !!."`
	intervalFlag
	jsonFlag
	adminFlags
}

// Help is the text of "edge help status".
func (c *statusCommand) Help() string {
	return `Says first what is wrong: !! is what clients notice now, ! what they may notice next, - what is only worth knowing. The exit code is 0 where the edge is ready, ` +
		`1 where it is not or does not answer, and with --strict also where a line begins with !!. It is 2 where the command line is wrong. --watch, interrupted, has that of its last look.`
}

// run prints the status. It fails when the edge is not ready, so that it serves as
// a health check.
func (c *statusCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	every, err := c.every()
	if err == nil && c.Interval != 0 && !c.Watch {
		err = usageError{errors.New("--interval is the time between two looks of --watch")}
	}
	if err != nil {
		return exitFor(err, stderr)
	}
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	if c.Watch {
		return exitFor(c.watch(ctx, client, every, newView(stdout, stderr, env)), stderr)
	}
	text, doc, err := client.Status(ctx)
	if err != nil {
		return exitFor(err, stderr)
	}
	if c.JSON {
		_, err = stdout.Write(text)
	} else {
		_, err = io.WriteString(stdout, doc.Text())
	}
	if err == nil {
		err = c.verdict(doc)
	}
	return exitFor(err, stderr)
}

// watch prints the status again and again. It returns the verdict of the last look. An edge that
// does not answer is one to go on looking at: it may be on its way back.
func (c *statusCommand) watch(ctx context.Context, client *admin.Client, every time.Duration, v *view) (verdict error) {
	if c.JSON {
		v.size = nil // a program reads it
	}
	err := repeat(ctx, every, func(limited context.Context) error {
		text, doc, err := client.Status(limited)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			verdict = err
			return v.fail(err, time.Now())
		}
		verdict = c.verdict(doc)
		if !c.JSON {
			return v.show(doc.At.Local().Format("15:04:05 ")+doc.Text(), time.Now())
		}
		line := jsontext.Value(text)
		if err := line.Compact(); err != nil {
			return err
		}
		_, err = v.stdout.Write(append(line, '\n'))
		return err
	})
	v.end()
	if err != nil {
		return err
	}
	return verdict
}

// verdict is the error that a status stands for.
func (c *statusCommand) verdict(doc *report.Status) error {
	if !doc.Ready {
		return errors.New("not ready")
	}
	if !c.Strict {
		return nil
	}
	n := int64(0)
	for _, p := range doc.Problems() {
		if p.Urgency == report.Wrong {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return errors.New("clients notice " + report.Count(n, "problem"))
}
