package command

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// jsonFlag has a command print its result for a program.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print the result as JSON. Errors stay words on standard error."`
}

// printJSON writes a result as JSON, in lines.
func printJSON(w io.Writer, result any) error {
	text, err := json.Marshal(result, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
