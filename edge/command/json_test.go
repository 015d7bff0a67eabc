package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// A program reads the result of every command, and the exit code is the one for people.
func TestResultsAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	edgetest.WriteFile(t, "good.yaml", "listen: :8080\n")
	edgetest.WriteFile(t, "bad.yaml", "lisen: :8080\nadmni: {}\n")
	a := startAdmin(t, "")
	for _, tt := range []struct {
		args string
		code int
		want string // part of the result, as Go prints it
	}{
		{"check --config good.yaml", exitOK, "config:good.yaml warnings:[public_url: "},
		{"check --config bad.yaml", exitUsage, "mistakes:[bad.yaml:1: lisen: "},
		{"purge a b --admin " + a.URL, exitOK, "[map[covers:map[fetches:0 responses:3 whole:true] purge:map[package:a]] map["},
		{"purge broken --admin " + a.URL, exitError, "[]"},
		{"drain npm 1 --admin " + a.URL, exitOK, "drained:true left:[map["},
		{"reload --admin " + a.URL, exitOK, "changed:[limits.rate site npm: deny] config:config.yaml"},
		{"status --admin " + a.URL, exitOK, "ready:true"},
		{"version", exitOK, "go:go"},
	} {
		code, stdout, _ := command(t, nil, append(strings.Fields(tt.args), "--json")...)
		var result any
		if err := json.Unmarshal([]byte(stdout), &result); err != nil {
			t.Errorf("%s: %v in %q", tt.args, err, stdout)
		}
		if got := fmt.Sprint(result); code != tt.code || !strings.Contains(got, tt.want) {
			t.Errorf("%s: exit code %d, %s; want %d, %s", tt.args, code, got, tt.code, tt.want)
		}
	}
}
