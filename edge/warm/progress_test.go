package warm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressInLinesIsNowAndThen(t *testing.T) {
	second := time.Second
	for _, tt := range []struct {
		name   string
		states []state
		want   string
	}{
		{"after a tenth, or five seconds",
			[]state{
				{done: 1, total: 40, took: second}, {done: 4, total: 40, bytes: 2048, took: 2 * second}, {done: 5, total: 40, took: 3 * second},
				{done: 5, total: 40, took: 7 * second}, {done: 5, total: 40, took: 11 * second, failed: 1}, {done: 39, total: 40, took: 11 * second},
			},
			"warming: 4 of 40, 2.0 KiB, 2 s\nwarming: 5 of 40, 0 B, 7 s\nwarming: 39 of 40, 0 B, 11 s\n"},
		{"not at the end, where the summary is", []state{{done: 40, total: 40, took: 9 * second}}, ""},
		{"with what failed", []state{{done: 20, total: 40, failed: 2, took: second}}, "warming: 20 of 40, 0 B, 1 s, 2 failed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			l := &progressLines{out: &out}
			for _, s := range tt.states {
				l.show(s)
			}
			if out.String() != tt.want {
				t.Errorf("wrote %q; want %q", out.String(), tt.want)
			}
		})
	}
}

func TestProgressOnATerminalIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally := newTally(&Plan{packages: make([]wantedPackage, 2), tarballs: 2})
		var out bytes.Buffer
		finish := showProgress(&out, true, tally)
		<-time.After(progressTick) // in the bubble's time
		synctest.Wait()
		tally.packument(wantedPackage{}, answer{bytes: 3 << 20}, nil)
		<-time.After(progressTick)
		synctest.Wait()
		finish()
		const clear = "\r\x1b[K"
		want := clear + "[..............................] 0 of 4, 0 B, 0 s" +
			clear + "[#######.......................] 1 of 4, 3.0 MiB, 0 s" + clear
		if out.String() != want {
			t.Errorf("wrote %q; want %q", out.String(), want)
		}
	})
}

func TestProgressCountsWhatIsLostWithAPackument(t *testing.T) {
	tally := newTally(&Plan{packages: make([]wantedPackage, 1), tarballs: 3})
	tally.packument(wantedPackage{name: "a", versions: make([]wantedVersion, 3)}, answer{}, errors.New("404"))
	if s := tally.state(); s.done != s.total || s.failed != 1 {
		t.Errorf("state is %+v", s)
	}
}

func TestSummaryListsFailuresUpToALimit(t *testing.T) {
	tally := newTally(&Plan{})
	for i := range maxFailures + 7 {
		tally.packument(wantedPackage{name: fmt.Sprintf("p%03d", i)}, answer{}, errors.New("a\x1b[2J\nb"))
	}
	var out bytes.Buffer
	if err := tally.Print(&out, ""); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), ": a?[2J b\n"); got != maxFailures || !strings.HasSuffix(out.String(), "  and 7 more\n") {
		t.Errorf("lists %d:\n%s", got, out.String())
	}
}
