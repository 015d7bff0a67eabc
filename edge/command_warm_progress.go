package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"pkgedge/edge/report"
)

// How often progress is looked at and, where it is written line by line, how
// long it is silent and how far it goes at most.
const (
	progressTick = 100 * time.Millisecond
	progressLull = 5 * time.Second
	progressStep = 10 // percent
)

const progressWidth = 30 // of the bar, in columns

// showProgress writes how far t is, as a bar on a terminal and in lines elsewhere,
// until finish is called. finish returns when nothing is written any more.
func showProgress(out io.Writer, terminal bool, t *warmTally) (finish func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	var view interface {
		show(warmState)
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

// String is the state without its bar.
func (s warmState) String() string {
	text := fmt.Sprintf("%d of %d, %s, %.0f s", s.done, s.total, report.HumanBytes(s.bytes), s.took.Seconds())
	if s.failed > 0 {
		text += fmt.Sprintf(", %d failed", s.failed)
	}
	return text
}

// progressBar is one line, written over and over.
type progressBar struct{ out io.Writer }

const clearLine = "\r\x1b[K"

func (b *progressBar) show(s warmState) {
	full := 0
	if s.total > 0 {
		full = progressWidth * s.done / s.total
	}
	fmt.Fprintf(b.out, "%s[%s%s] %s", clearLine, strings.Repeat("#", full), strings.Repeat(".", progressWidth-full), s)
}

func (b *progressBar) end() { io.WriteString(b.out, clearLine) }

// progressLines is a line now and then.
type progressLines struct {
	out  io.Writer
	took time.Duration // when the last one was written
	done int           // what it said
}

func (l *progressLines) show(s warmState) {
	if (s.done-l.done)*100 < s.total*progressStep && s.took-l.took < progressLull || s.done == s.total {
		return
	}
	l.took, l.done = s.took, s.done
	fmt.Fprintln(l.out, "warming:", s)
}

func (l *progressLines) end() {}
