package command

import (
	"io"
	"os"
)

// isTerminal says whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// rewritesLines says whether the terminal can go back in a line.
func rewritesLines(env func(string) (string, bool)) bool {
	term, _ := env("TERM")
	return term != "" && term != "dumb"
}

// The size of a terminal that does not tell its own.
const usualRows, usualColumns = 24, 80
