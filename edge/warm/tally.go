package warm

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

// Tally counts the packages and tarballs of a run.
type Tally struct {
	plan  *Plan
	start time.Time

	mu       sync.Mutex
	done     [2]int // packages, tarballs; without those that failed
	bytes    int64
	sources  [4]int         // answers, by source
	verified map[string]int // tarballs, by the source of the digest
	waits    int
	failures []failure
	lost     int // tarballs that were not requested, because their packument failed
}

// failure is a package or a tarball, and the reason that it failed.
type failure struct{ name, reason string }

// Sources of the digest that a tarball was compared with.
const (
	byLockfile  = "the lockfile"
	byPackument = "the packument"
	byNone      = "nothing"
)

// digestSource returns the source of the checks of a version.
func digestSource(v wantedVersion, checks []digestCheck) string {
	switch {
	case len(v.checks) > 0:
		return byLockfile
	case len(checks) > 0:
		return byPackument
	}
	return byNone
}

func newTally(plan *Plan) *Tally {
	return &Tally{plan: plan, start: time.Now(), verified: map[string]int{}}
}

// packument counts the packument of a package.
func (t *Tally) packument(p wantedPackage, got answer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addAnswer(got)
	if err == nil {
		t.done[0]++
		return
	}
	t.lost += len(p.versions)
	t.failures = append(t.failures, failure{p.name, report.Printable(err.Error())})
}

// tarball counts a tarball.
func (t *Tally) tarball(name string, got answer, by string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addAnswer(got)
	if err != nil && !errors.Is(err, errNoDigest) {
		t.failures = append(t.failures, failure{name, report.Printable(err.Error())})
		return
	}
	t.done[1]++
	t.verified[by]++
}

// addAnswer counts an answer. mu is held.
func (t *Tally) addAnswer(got answer) {
	t.bytes += got.bytes
	t.sources[got.from]++
	t.waits += got.waits
}

// Failed says that a package or a tarball could not be fetched or verified.
func (t *Tally) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures) > 0
}

// state says how far a run is.
type state struct {
	done, total int // packuments and tarballs
	bytes       int64
	failed      int
	took        time.Duration
}

// state returns the counts of this moment.
func (t *Tally) state() state {
	t.mu.Lock()
	defer t.mu.Unlock()
	return state{
		done:  t.done[0] + t.done[1] + len(t.failures) + t.lost,
		total: len(t.plan.packages) + t.plan.tarballs,
		bytes: t.bytes, failed: len(t.failures), took: time.Since(t.start),
	}
}

// Print writes the summary of a run through that edge.
func (t *Tally) Print(out io.Writer, edge string) error {
	_, err := io.WriteString(out, t.summary(edge))
	return err
}

func (t *Tally) summary(edge string) string {
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
	slices.SortFunc(t.failures, func(a, b failure) int { return cmp.Compare(a.name, b.name) })
	for i, f := range t.failures {
		if i == maxFailures {
			fmt.Fprintf(&b, "  and %d more\n", len(t.failures)-i)
			break
		}
		fmt.Fprintf(&b, "  %s: %s\n", f.name, f.reason)
	}
	return b.String()
}
