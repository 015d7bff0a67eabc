package command

import (
	"context"
	"errors"
	"io"
)

// statusCommand is "edge status".
type statusCommand struct {
	jsonFlag
	adminFlags
}

// run prints the status. It fails when the edge is not ready, so that it serves as
// a health check.
func (c *statusCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	text, doc, err := client.Status(ctx)
	if err != nil {
		return exitFor(err, stderr)
	}
	if c.JSON {
		_, err = stdout.Write(text)
	} else {
		_, err = io.WriteString(stdout, doc.Text())
	}
	if err == nil && !doc.Ready {
		err = errors.New("not ready")
	}
	return exitFor(err, stderr)
}
