package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"pkgedge/edge/report"
)

// maxFailures is how many failures a summary lists.
const maxFailures = 50

// warmTally counts what a warm-up has done.
type warmTally struct {
	plan  *warmPlan
	start time.Time

	mu       sync.Mutex
	done     [2]int // packages, tarballs; those that failed are not in it
	bytes    int64
	sources  [4]int         // answers, by source
	verified map[string]int // tarballs, by whose digest
	waits    int
	failures []warmFailure
	lost     int // tarballs not asked for, because their packument failed
}

type warmFailure struct{ what, why string }

// Whose digest a tarball was held to.
const (
	byLockfile  = "the lockfile"
	byPackument = "the packument"
	byNone      = "nothing"
)

func digestSource(v wantedVersion, checks []digestCheck) string {
	switch {
	case len(v.checks) > 0:
		return byLockfile
	case len(checks) > 0:
		return byPackument
	}
	return byNone
}

func newWarmTally(plan *warmPlan) *warmTally {
	return &warmTally{plan: plan, start: time.Now(), verified: map[string]int{}}
}

// packument counts a package's metadata.
func (t *warmTally) packument(p wantedPackage, got warmAnswer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer(got)
	if err == nil {
		t.done[0]++
		return
	}
	t.lost += len(p.versions)
	t.failures = append(t.failures, warmFailure{p.name, report.Printable(err.Error())})
}

// tarball counts a file.
func (t *warmTally) tarball(what string, got warmAnswer, by string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer(got)
	if err != nil && !errors.Is(err, errNoDigest) {
		t.failures = append(t.failures, warmFailure{what, report.Printable(err.Error())})
		return
	}
	t.done[1]++
	t.verified[by]++
}

// answer is called with mu held.
func (t *warmTally) answer(got warmAnswer) {
	t.bytes += got.bytes
	t.sources[got.from]++
	t.waits += got.waits
}

func (t *warmTally) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures) > 0
}

// warmState is how far a warm-up is.
type warmState struct {
	done, total int // packuments and tarballs
	bytes       int64
	failed      int
	took        time.Duration
}

func (t *warmTally) state() warmState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return warmState{
		done:  t.done[0] + t.done[1] + len(t.failures) + t.lost,
		total: len(t.plan.packages) + t.plan.tarballs,
		bytes: t.bytes, failed: len(t.failures), took: time.Since(t.start),
	}
}

// print writes the summary.
func (t *warmTally) print(out io.Writer, edge string) error {
	took := time.Since(t.start)
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s "+format+"\n", append([]any{name}, args...)...)
	}
	line("warmed", "%s in %.1f s", edge, took.Seconds())
	line("packages", "%d of %d", t.done[0], len(t.plan.packages))
	line("tarballs", "%d of %d", t.done[1], t.plan.tarballs)
	for _, by := range []string{byLockfile, byPackument} {
		if n := t.verified[by]; n > 0 {
			line("", "%d match the digest of %s", n, by)
		}
	}
	if n := t.verified[byNone]; n > 0 {
		line("", "%d could not be verified: %s", n, errNoDigest)
	}
	line("received", "%s", report.HumanBytes(t.bytes))
	line("answers", "%d from the cache, %d fetched", t.sources[fromCache], t.sources[fromMaster])
	if n := t.sources[fromUnknown]; n > 0 {
		line("", "%d without Cache-Status", n)
	}
	if t.waits > 0 {
		line("", "%d that said to come back later", t.waits)
	}
	if t.plan.skipped > 0 {
		line("skipped", "%d that no registry serves: workspaces, links, folders, Git, other URLs, bundled", t.plan.skipped)
	}
	for _, note := range t.plan.notes {
		line("note", "%s", note)
	}
	if len(t.failures) > 0 {
		line("failed", "%d", len(t.failures))
	}
	slices.SortFunc(t.failures, func(a, b warmFailure) int { return cmp.Compare(a.what, b.what) })
	for i, f := range t.failures {
		if i == maxFailures {
			fmt.Fprintf(&b, "  and %d more\n", len(t.failures)-i)
			break
		}
		fmt.Fprintf(&b, "  %s: %s\n", f.what, f.why)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
