package warm

import (
	"fmt"
	"io"
	"strings"
	"time"

	"pkgedge/edge/report"
)

// Intervals of progress. Where progress is written line by line, a line follows
// the last one after progressLull or progressStep, if that is earlier.
const (
	progressTick = 100 * time.Millisecond // between two looks at the tally
	progressLull = 5 * time.Second
	progressStep = 10 // percent
)

const progressWidth = 30 // of the bar, in columns

// showProgress writes the state of t until finish is called: as a bar on a
// terminal, and in lines elsewhere. finish returns after the last write.
func showProgress(out io.Writer, terminal bool, t *Tally) (finish func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	var view interface {
		show(state)
		end()
	} = &progressLines{out: out}
	if terminal {
		view = &progressBar{out: out}
	}
	go func() {
		defer close(stopped)
		defer view.end()
		ticks := time.NewTicker(progressTick)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				view.show(t.state())
			case <-stop:
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// String describes the state without a bar.
func (s state) String() string {
	text := fmt.Sprintf("%d of %d, %s, %.0f s", s.done, s.total, report.HumanBytes(s.bytes), s.took.Seconds())
	if s.failed > 0 {
		text += fmt.Sprintf(", %d failed", s.failed)
	}
	return text
}

// progressBar is one line that is rewritten at each look.
type progressBar struct{ out io.Writer }

const clearLine = "\r\x1b[K"

func (b *progressBar) show(s state) {
	full := 0
	if s.total > 0 {
		full = progressWidth * s.done / s.total
	}
	fmt.Fprintf(b.out, "%s[%s%s] %s", clearLine, strings.Repeat("#", full), strings.Repeat(".", progressWidth-full), s)
}

func (b *progressBar) end() { io.WriteString(b.out, clearLine) }

// progressLines writes a line at each step.
type progressLines struct {
	out  io.Writer
	took time.Duration // time of the last line
	done int           // count of the last line
}

func (l *progressLines) show(s state) {
	if (s.done-l.done)*100 < s.total*progressStep && s.took-l.took < progressLull || s.done == s.total {
		return
	}
	l.took, l.done = s.took, s.done
	fmt.Fprintln(l.out, "warming:", s)
}

func (l *progressLines) end() {}
