package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// report counts.
type report struct {
	begun time.Time

	mu       sync.Mutex
	kinds    map[string]*tally
	troubles map[string]int
	examples []string
}

// tally is the requests of one kind.
type tally struct {
	errors, wrong int
	took          []time.Duration
}

// maxExamples bounds the errors that are printed in words.
const maxExamples = 20

func newReport() *report {
	return &report{begun: time.Now(), kinds: make(map[string]*tally), troubles: make(map[string]int)}
}

// request counts one request, with the error that its client saw.
func (r *report) request(kind string, took time.Duration, path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.kinds[kind]
	if t == nil {
		t = new(tally)
		r.kinds[kind] = t
	}
	t.took = append(t.took, took)
	if err == nil {
		return
	}
	if errors.Is(err, errWrong) {
		t.wrong++
	} else {
		t.errors++
	}
	if len(r.examples) < maxExamples {
		r.examples = append(r.examples, fmt.Sprintf("%s %s %s after %s: %v", time.Now().Format("15:04:05.000"), kind, path, took.Round(time.Millisecond), err))
	}
}

// trouble counts one trouble.
func (r *report) trouble(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.troubles[name]++
}

// good says whether no client saw an error, and there were requests.
func (r *report) good() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.kinds) > 0 && len(r.examples) == 0
}

func (r *report) print(to io.Writer, e *edge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.remember()
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "requests\tnumber\terrors\twrong\tmedian\t99 %\tlongest\t")
	sum := new(tally)
	row := func(name string, k *tally) {
		slices.Sort(k.took)
		at := func(q float64) time.Duration { return k.took[int(q*float64(len(k.took)-1))].Round(time.Millisecond) }
		if len(k.took) > 0 {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t\n", name, len(k.took), k.errors, k.wrong, at(.5), at(.99), at(1))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.kinds)) {
		k := r.kinds[name]
		row(name, k)
		sum.errors, sum.wrong, sum.took = sum.errors+k.errors, sum.wrong+k.wrong, append(sum.took, k.took...)
	}
	row("all", sum)
	fmt.Fprintln(t, "\t\t\t\t\t\t\t\ntroubles\tnumber\t\t\t\t\t\t")
	for _, name := range slices.Sorted(maps.Keys(r.troubles)) {
		fmt.Fprintf(t, "%s\t%d\t\t\t\t\t\t\n", name, r.troubles[name])
	}
	t.Flush()
	fmt.Fprintf(to, "\n%s; the edge's resident memory was at most %s\n", time.Since(r.begun).Round(time.Second), e.peak)
	for _, text := range r.examples {
		fmt.Fprintln(to, text)
	}
}
