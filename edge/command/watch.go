package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// shortestInterval is the least time between two looks at an edge.
	shortestInterval = 100 * time.Millisecond
	// longestLook is how long a command that looks again and again waits for one answer: the
	// next look may do better.
	longestLook = 5 * time.Second
)

// intervalFlag is the time between two looks at an edge.
type intervalFlag struct {
	Interval time.Duration `placeholder:"TIME" help:"Time between two looks, at least 100ms. Default: 1s."`
}

// every returns the interval, or the default.
func (f intervalFlag) every() (time.Duration, error) {
	switch {
	case f.Interval == 0:
		return time.Second, nil
	case f.Interval < shortestInterval:
		return 0, usageError{fmt.Errorf("--interval: %s is less than %s", f.Interval, shortestInterval)}
	}
	return f.Interval, nil
}

// repeat calls look at once, and then in each interval, until ctx is done or the result cannot be shown.
func repeat(ctx context.Context, every time.Duration, look func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, max(longestLook, every))
		err := look(limited)
		cancel()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// view shows the texts of a command, each time in the place of the time before where it writes
// to a terminal, and below it elsewhere.
type view struct {
	stdout, stderr io.Writer
	// size is that of the terminal, in lines and columns; nil where there is none.
	size func() (rows, columns int)

	begun bool
	last  string // the text that was seen last
	at    time.Time
}

// newView is a view on stdout.
func newView(stdout, stderr io.Writer, env func(string) (string, bool)) *view {
	v := &view{stdout: stdout, stderr: stderr}
	if isTerminal(stdout) && rewritesLines(env) {
		v.size = func() (int, int) { return windowSize(stdout) }
	}
	return v
}

// Sequences of a terminal (ECMA-48, and xterm's alternate screen, which leaves the lines above alone).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // and hide the cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// show shows a text.
func (v *view) show(text string, now time.Time) error {
	v.last, v.at = text, now
	if v.size != nil {
		return v.draw(text)
	}
	if v.begun {
		text = "\n" + text
	}
	v.begun = true
	_, err := io.WriteString(v.stdout, text)
	return err
}

// fail shows why there is no new text.
func (v *view) fail(cause error, now time.Time) error {
	if v.size == nil {
		_, err := fmt.Fprintln(v.stderr, "edge:", cause)
		return err
	}
	text := fmt.Sprintf("edge: %v\n", cause)
	if v.last != "" {
		text += fmt.Sprintf("\nlast seen %.0f s ago:\n\n%s", now.Sub(v.at).Seconds(), v.last)
	}
	return v.draw(text)
}

// draw fills the terminal with a text, as far as it fits.
func (v *view) draw(text string) error {
	rows, columns := v.size()
	var b strings.Builder
	if !v.begun {
		b.WriteString(enterScreen)
	}
	v.begun = true
	b.WriteString(home)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > rows {
		lines = append(lines[:rows-1:rows-1], fmt.Sprintf("… %d lines more", len(lines)-rows+1))
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		if runes := []rune(line); len(runes) > columns {
			line = string(runes[:columns-1]) + "…"
		}
		b.WriteString(line + clearLine)
	}
	b.WriteString(clearBelow)
	_, err := io.WriteString(v.stdout, b.String())
	return err
}

// end gives the terminal back, with the last text below the lines of before.
func (v *view) end() {
	if v.size != nil && v.begun {
		_, _ = io.WriteString(v.stdout, leaveScreen+v.last)
	}
}
