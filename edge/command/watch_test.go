package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/edge/edgetest"
)

const (
	wellStatus    = `{"ready": true, "at": "2026-11-27T03:04:05Z", "cache": {"scan_percent": 100}}`
	outageStatus  = `{"ready": true, "cache": {"scan_percent": 100}, "sites": [{"name": "npm", "outage": true, "masters": []}]}`
	weakStatus    = `{"ready": true, "cache": {"scan_percent": 100, "disk_paused": true}}`
	drainedStatus = `{"ready": false, "why": "draining", "cache": {"scan_percent": 100}}`
)

func TestStrictFailsWhereClientsNotice(t *testing.T) {
	status := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, status) }))
	defer s.Close()
	for _, tt := range []struct {
		status          string
		lenient, strict int
		reason          string
	}{
		{wellStatus, exitOK, exitOK, ""},
		{weakStatus, exitOK, exitOK, ""},
		{outageStatus, exitOK, exitError, "edge: clients notice 1 problem\n"},
		{drainedStatus, exitError, exitError, "edge: not ready\n"},
	} {
		status = tt.status
		for _, form := range []string{"", " --json"} {
			if code, _, _ := command(t, nil, strings.Fields("status --admin "+s.URL+form)...); code != tt.lenient {
				t.Errorf("%s%s: exit code %d; want %d", tt.status, form, code, tt.lenient)
			}
			code, stdout, stderr := command(t, nil, strings.Fields("status --strict --admin "+s.URL+form)...)
			if code != tt.strict || stderr != tt.reason || stdout == "" {
				t.Errorf("%s --strict%s: exit code %d, %q; want %d, %q", tt.status, form, code, stderr, tt.strict, tt.reason)
			}
		}
	}
}

// watched runs a command against an admin listener that gives one answer after the other, and is
// interrupted when there are no more. "" stands for one that fails.
func watched(t *testing.T, answers []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n == len(answers) {
			interrupt()
			return
		}
		if answers[n] == "" {
			w.WriteHeader(http.StatusBadGateway)
		}
		fmt.Fprint(w, answers[n])
		n++
	}))
	defer s.Close()
	var out, errs bytes.Buffer
	code = Run(ctx, append(args, "--interval", "100ms", "--admin", s.URL), &out, &errs, edgetest.NoEnv)
	return code, out.String(), errs.String()
}

func TestStatusIsWatched(t *testing.T) {
	code, stdout, stderr := watched(t, []string{wellStatus, "", outageStatus}, "status", "--watch")
	parts := strings.Split(stdout, "\n\ncache\n")
	if code != exitOK || len(parts) != 3 || !strings.Contains(parts[0], " ready\n\nall is well") || !strings.Contains(parts[1], "\n\n") || !strings.Contains(parts[1], "!! site npm: outage") {
		t.Errorf("exit code %d, %q", code, stdout)
	}
	if strings.Contains(stdout, "\x1b") || !strings.Contains(stderr, "502 Bad Gateway") {
		t.Errorf("%q, stderr %q", stdout, stderr)
	}
}

func TestAWatchEndsWithItsLastVerdict(t *testing.T) {
	for _, tt := range []struct {
		answers []string
		args    string
		code    int
	}{
		{[]string{drainedStatus, wellStatus}, "status --watch", exitOK},
		{[]string{wellStatus, drainedStatus}, "status --watch", exitError},
		{[]string{wellStatus, outageStatus}, "status --watch --strict", exitError},
		{[]string{outageStatus, wellStatus}, "status --watch --strict", exitOK},
		{[]string{wellStatus, ""}, "status --watch", exitError},
	} {
		if code, _, stderr := watched(t, tt.answers, strings.Fields(tt.args)...); code != tt.code {
			t.Errorf("%s of %v: exit code %d, %s", tt.args, tt.answers, code, stderr)
		}
	}
}

func TestAWatchForAProgramHasADocumentInEachLine(t *testing.T) {
	code, stdout, stderr := watched(t, []string{"{\n \"ready\": true\n}\n", wellStatus}, "status", "--watch", "--json")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if code != exitOK || len(lines) != 2 {
		t.Fatalf("exit code %d, %q, %s", code, stdout, stderr)
	}
	for _, line := range lines {
		var doc struct{ Ready bool }
		if err := json.Unmarshal([]byte(line), &doc); err != nil || !doc.Ready {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestIntervalsThatMakeNoSense(t *testing.T) {
	for args, want := range map[string]string{
		"status --watch --interval 1ms": "--interval: 1ms is less than 100ms",
		"status --watch --interval=-1s": "--interval: -1s is less than 100ms",
		"status --interval 2s":          "--interval is the time between two looks of --watch",
	} {
		if code, _, stderr := command(t, nil, strings.Fields(args)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr)
		}
	}
}

func TestLooksFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begun := time.Now()
		var at []time.Duration
		err := repeat(ctx, 2*time.Second, func(limited context.Context) error {
			at = append(at, time.Since(begun))
			switch len(at) {
			case 2: // the edge hangs
				<-limited.Done()
			case 4:
				cancel()
			}
			return nil
		})
		if got := fmt.Sprint(at); err != nil || got != "[0s 2s 7s 8s]" {
			t.Errorf("looks at %s, %v", got, err)
		}
		broken := errors.New("closed")
		if err := repeat(t.Context(), time.Second, func(context.Context) error { return broken }); err != broken {
			t.Errorf("a terminal that is gone: %v", err)
		}
	})
}

func TestATerminalIsRedrawn(t *testing.T) {
	var out bytes.Buffer
	v := &view{stdout: &out, size: func() (int, int) { return 4, 10 }}
	now := time.Now()
	drawn := func(do func() error) string {
		t.Helper()
		out.Reset()
		if err := do(); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	if got, want := drawn(func() error { return v.show("a\nlonger than that\n", now) }), enterScreen+home+"a"+clearLine+"\nlonger th…"+clearLine+clearBelow; got != want {
		t.Errorf("at first %q; want %q", got, want)
	}
	if got, want := drawn(func() error { return v.show("1\n2\n3\n4\n5\n6\n", now) }), home+"1\x1b[K\n2\x1b[K\n3\x1b[K\n… 3 lines…"+clearLine+clearBelow; got != want {
		t.Errorf("too long %q; want %q", got, want)
	}
	if got := drawn(func() error { return v.fail(errors.New("gone"), now.Add(3*time.Second)) }); !strings.HasPrefix(got, home+"edge: gone\x1b[K\n\x1b[K\nlast seen") {
		t.Errorf("a failure %q", got)
	}
	if got, want := drawn(func() error { v.end(); return nil }), leaveScreen+"1\n2\n3\n4\n5\n6\n"; got != want {
		t.Errorf("at the end %q; want %q", got, want)
	}
	unseen := &view{stdout: &out, size: v.size}
	if got := drawn(func() error { unseen.end(); return nil }); got != "" {
		t.Errorf("the end of a view that showed nothing is %q", got)
	}
}
