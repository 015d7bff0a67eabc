package command

import (
	"io"
	"os"
)

// isTerminal reports whether w is a terminal that can go back in a line.
func isTerminal(w io.Writer, env func(string) (string, bool)) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	if term, _ := env("TERM"); term == "" || term == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
