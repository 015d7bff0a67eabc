package command

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// windowSize is the size of a terminal, in lines and columns, or the usual one.
func windowSize(w io.Writer) (rows, columns int) {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Row > 1 && size.Col > 1 {
			return int(size.Row), int(size.Col)
		}
	}
	return usualRows, usualColumns
}
