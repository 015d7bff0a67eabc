package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a configuration, and how to mend it.
type Problem struct {
	File string // "" in the built-in configuration
	Line int    // from 1; 0 when no line is to blame
	Key  string // "sites[0].masters[1].role"; "" when the file itself is wrong
	Text string
}

// String is "config.yaml:12: cache.memory: …", without the parts that are not
// known.
func (m Problem) String() string {
	var b strings.Builder
	if m.File != "" {
		b.WriteString(m.File)
		if m.Line > 0 {
			fmt.Fprintf(&b, ":%d", m.Line)
		}
		b.WriteString(": ")
	}
	if m.Key != "" {
		b.WriteString(m.Key + ": ")
	}
	b.WriteString(m.Text)
	return b.String()
}

// Problems is everything that is wrong in a configuration, by line.
type Problems []Problem

// Error is one line for each problem.
func (ms Problems) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

func (d *decoder) sorted() Problems {
	slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return d.problems
}

// nearest returns the one of words that was probably meant by word, or "".
func nearest(word string, words []string) string {
	best, least := "", 1+len(word)/3
	for _, w := range words {
		if n := distance(word, w); n <= least && (best == "" || n < least) {
			best, least = w, n
		}
	}
	return best
}

// distance is the number of bytes to add, remove or change between a and b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
