package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/natstest"
)

// init makes the log once, and says so; it touches nothing that is there.
func TestFleetInit(t *testing.T) {
	c := natstest.Start(t, 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	edgetest.WriteFile(t, path, fmt.Sprintf("cache: { dir: %q }\nfleet: { name: a, nats: [%q] }\n", dir, c.URLs()[0]))
	alone := filepath.Join(dir, "alone.yaml")
	edgetest.WriteFile(t, alone, fmt.Sprintf("cache: { dir: %q }\n", dir))
	for _, tt := range []struct {
		line     string
		code     int
		out, err string
	}{
		{"fleet init --config " + alone, exitUsage, "", "fleet.nats is empty: list the NATS servers"},
		{"fleet init --replicas 9 --config " + path, exitUsage, "", "--replicas: write a number from 1 to 5"},
		{"fleet init --config " + path, exitError, "", "with one NATS server alone, say --replicas 1"},
		{"fleet init --replicas 1 --config " + path, exitOK, "made the log of purges, stream PURGE, with id ", ""},
		{"fleet init --replicas 1 --config " + path, exitOK, "there was the log of purges, stream PURGE, with id ", ""},
		{"fleet init --replicas 1 --json --config " + path, exitOK, `"new_log": false`, ""},
		{"fleet again", exitUsage, "", `must be one of "init","status"`},
	} {
		var stdout, stderr bytes.Buffer
		code := Run(t.Context(), strings.Fields(tt.line), &stdout, &stderr, edgetest.NoEnv)
		if code != tt.code || !strings.Contains(stdout.String(), tt.out) || !strings.Contains(stderr.String(), tt.err) {
			t.Errorf("%s: %d\n%s%s", tt.line, code, &stdout, &stderr)
		}
	}
}

func TestFleetStatus(t *testing.T) {
	for _, tt := range []struct {
		fleet    string // of the status
		code     int
		out, err string
	}{
		{`null`, exitUsage, "", "this edge is in no fleet"},
		{`{"name":"a","pop":"p","log":{"live":true,"place":7},"edges":[{"name":"a","live":true},{"name":"b","away":true}]}`, exitOK, "edges    2: b (away), a", ""},
		{`{"name":"a","log":{"live":false,"why":"no answer in time"}}`, exitError, "not live at 0", "not live: no answer in time"},
		{`{"name":"a","log":{"live":true,"outbox":2}}`, exitError, "2 wait", "2 purges of this edge not yet in the log"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"ready":true,"fleet":%s}`, tt.fleet)
		}))
		var stdout, stderr bytes.Buffer
		code := Run(t.Context(), []string{"fleet", "status", "--admin", s.URL}, &stdout, &stderr, edgetest.NoEnv)
		if code != tt.code || !strings.Contains(stdout.String(), tt.out) || !strings.Contains(stderr.String(), tt.err) {
			t.Errorf("%s: %d\n%s%s", tt.fleet, code, &stdout, &stderr)
		}
		stdout.Reset()
		if code := Run(t.Context(), []string{"fleet", "status", "--json", "--admin", s.URL}, &stdout, &stderr, edgetest.NoEnv); code != tt.code || code != exitUsage && !json.Valid(stdout.Bytes()) {
			t.Errorf("%s as JSON: %d\n%s", tt.fleet, code, &stdout)
		}
		s.Close()
	}
}

// A purge of an edge in a fleet says where it is in force, also by its exit code.
func TestPurgeInAFleet(t *testing.T) {
	for _, tt := range []struct {
		fleet, flag string
		code        int
		out, err    string
	}{
		{`{"durable":true,"seq":9,"applied":6,"members":6}`, "", exitOK, "in force at 6 of 6 edges", ""},
		{`{"durable":true,"seq":9,"applied":5,"members":6,"missing":["pop2-b"]}`, "", exitOK, "in force at 5 of 6 edges, not at pop2-b", ""},
		{`{"durable":true,"seq":9,"applied":5,"members":6,"missing":["pop2-b"]}`, "--wait=5s", exitError, "", "not everywhere: in force at 5 of 6 edges, not at pop2-b"},
		{`{"durable":false,"applied":1,"members":6}`, "", exitOK, "in force at this edge alone so far", ""},
	} {
		var asked string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.RawQuery
			if strings.Contains(tt.fleet, `"durable":false`) {
				w.WriteHeader(http.StatusAccepted)
			}
			fmt.Fprintf(w, `{"purged":{},"covers":{"responses":0,"fetches":0,"whole":true,"fleet":%s}}`, tt.fleet)
		}))
		var stdout, stderr bytes.Buffer
		code := Run(t.Context(), strings.Fields("purge left-pad "+tt.flag+" --admin "+s.URL), &stdout, &stderr, edgetest.NoEnv)
		if code != tt.code || !strings.Contains(stdout.String(), tt.out) || !strings.Contains(stderr.String(), tt.err) {
			t.Errorf("%s: %d\n%s%s", tt.fleet, code, &stdout, &stderr)
		}
		if want := strings.TrimPrefix(tt.flag, "--"); asked != want {
			t.Errorf("asked %q, want %q", asked, want)
		}
		s.Close()
	}
}
