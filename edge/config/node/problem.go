package node

import (
	"fmt"
	"strings"
)

// Problem is a mistake in a configuration, and the way to mend it.
type Problem struct {
	File string // "" in the built-in configuration
	Line int    // from 1; 0 when no line is to blame
	Key  string // "sites[0].masters[1].role"; "" for the file as a whole
	Text string
}

// String returns "config.yaml:12: cache.memory: …", without the parts that are
// empty.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all mistakes of a configuration, by line.
type Problems []Problem

// Error returns a line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Nearest returns the one of words that word is probably a misspelling of, or "".
func Nearest(word string, words []string) string {
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
