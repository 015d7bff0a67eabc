package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/admin"
)

const (
	topStatus = `{"at": "2026-11-27T03:04:05Z", "started": "2026-11-27T03:03:05Z", "newer": 1, "asked": [{"site": "npm", "name": "react", "count": 20}, ` +
		`{"site": "npm", "name": "a\u001bb", "count": 2}], "missed": [], "sent": [{"site": "npm", "name": "react", "count": 2048}]}`
	topHour = `{"seconds": [10, 10], "requests": [9, 21], "reads": [10, 10], "stored": [9, 10], "sent": [1000, 19480], "fetched": [0, 0], "p50": [0, 0.0004], "p99": [0, 0.25]}`
	noHour  = `{"at": []}`
)

// streaming is an admin listener whose stream tells these events, and stays open.
func streaming(t *testing.T, events string) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			t.Errorf("%s is asked", r.URL.Path)
		}
		if events == "full" {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error": "16 pages are open"}`)
			return
		}
		fmt.Fprint(w, "retry: 2000\n\n"+events)
		_ = http.NewResponseController(w).Flush()
		if strings.Contains(events, "event: hour") {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func eventsOf(status, hour string) string {
	return "event: status\ndata: " + status + "\n\nevent: hour\ndata: " + hour + "\n\n"
}

func TestTop(t *testing.T) {
	text := "up 1m, 1.5 requests a second, 95.0 % from the store\n1.0 KiB a second sent, 0 B from masters, p50 0.4 ms, p99 250 ms\n\n" +
		"asked for most, in the last hour, about                         REQUESTS\n" +
		"  react                                                               20\n" +
		"  a?b                                                                  2\n\n" +
		"missed most, in the last hour, about                              MISSES\n  none yet\n\n" +
		"most bytes sent, in the last hour, about                           BYTES\n" +
		"  react                                                          2.0 KiB\n"
	for _, tt := range []struct {
		events, stdout, stderr string
		code                   int
	}{
		{eventsOf(topStatus, topHour), text, "", exitOK},
		{eventsOf(topStatus, noHour), "up 1m, no figures yet: they are taken every ten seconds\n", "", exitOK},
		{"event: status\ndata: " + topStatus + "\n\n", "", "they end before they have told anything", exitError},
		{"event: status\ndata: x\n\n", "", "edge: cannot read the events of URL: ", exitError},
		{"full", "", "edge: URL answers 503 Service Unavailable: 16 pages are open", exitError},
	} {
		url := streaming(t, tt.events)
		for _, once := range []string{"", "--once"} {
			code, stdout, stderr := command(t, nil, strings.Fields("top --admin "+url+" "+once)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, strings.ReplaceAll(tt.stderr, "URL", url)) {
				t.Errorf("%.60s: exit code %d, %q, %q; want %d,\n%s", tt.events, code, stdout, stderr, tt.code, tt.stdout)
			}
		}
	}
	if code, _, stderr := command(t, nil, "top", "--interval", "1ms"); code != exitUsage || !strings.Contains(stderr, "--interval") {
		t.Errorf("an interval that is too short: exit code %d, %s", code, stderr)
	}
}

func TestTopAsJSON(t *testing.T) {
	code, stdout, stderr := command(t, nil, "top", "--json", "--admin", streaming(t, eventsOf(topStatus, topHour)))
	var top admin.Top
	if err := json.Unmarshal([]byte(stdout), &top); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v, %s", code, err, stderr)
	}
	want := admin.Lately{Seconds: 20, Requests: 30, Reads: 20, Stored: 19, Sent: 20480, P50: .0004, P99: .25}
	if *top.Lately != want || len(top.Asked) != 2 || top.Sent[0] != (admin.Ranked{Site: "npm", Name: "react", Count: 2048}) {
		t.Errorf("%+v, %+v", top, top.Lately)
	}
	if !strings.Contains(stdout, `"missed": []`) {
		t.Errorf("an empty list is no list in %s", stdout)
	}
}

// Live, each name has its rate since the look before, and the lists fit the terminal.
func TestTopIsLive(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	looks := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		looks++
		switch looks {
		case 2:
			w.WriteHeader(http.StatusBadGateway)
			return
		case 4:
			interrupt()
			return
		}
		fmt.Fprint(w, eventsOf(topStatus, topHour))
	}))
	defer s.Close()
	client := admin.NewClient(s.URL, "")
	defer client.Close()
	var out bytes.Buffer
	v := &view{stdout: &out, stderr: io.Discard, size: func() (int, int) { return 24, 100 }}
	if err := liveTop(ctx, client, shortestInterval, v); err != nil {
		t.Error(err)
	}
	for _, want := range []string{enterScreen, "edge: " + s.URL + " answers 502", "A SECOND", "20           0.0", leaveScreen} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

func TestTopFitsTheTerminal(t *testing.T) {
	top := &admin.Top{}
	for i := range 12 {
		r := admin.Ranked{Site: "npm", Name: fmt.Sprint("p", i), Count: int64(1200 - 100*i)}
		top.Asked, top.Missed, top.Sent = append(top.Asked, r), append(top.Missed, r), append(top.Sent, r)
	}
	before := &admin.Top{Asked: slices.Clone(top.Asked), Missed: top.Missed[:1]}
	before.Asked[0].Count -= 5
	before.Asked[1].Count += 5 // the oldest part of it is forgotten
	text := topText(top, before, 2*time.Second, 24)
	if n := strings.Count(text, "\n"); n > 24 || !strings.Contains(text, "p4") || strings.Contains(text, "p5") {
		t.Errorf("%d lines:\n%s", n, text)
	}
	for _, want := range []string{"p0  1200  2.5\n", "p1  1100  0.0\n", "p1  1100  -\n", "p0  1.2 KiB  -\n"} {
		name, rest, _ := strings.Cut(want, "  ")
		figure, rate, _ := strings.Cut(rest, "  ")
		if line := fmt.Sprintf("  %-*s  %10s  %12s", topNameWidth-2, name, figure, strings.TrimSpace(rate)); !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	top.Missed[3].Site = "dist"
	if text := topText(top, nil, 0, 0); !strings.Contains(text, "  p3 (dist)") || !strings.Contains(text, "  p11 (npm)") {
		t.Errorf("names of two sites:\n%s", text)
	}
}
