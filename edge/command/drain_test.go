package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pkgedge/edge/admin"
)

func TestDrainCommand(t *testing.T) {
	const left = "in rotation: https://a.example (primary), https://f.example (replica for files of @s)\n"
	const b = "https://b.example (replica, number 1 of site npm)"
	for _, tt := range []struct {
		args   string
		code   int
		turned string
		stdout string
		stderr string // part of it; URL stands for the listener's
	}{
		{"drain npm 1", exitOK, "npm 1 true", "drained " + b + ": no new requests, 3 under way\n" + left, ""},
		{"undrain npm 1", exitOK, "npm 1 false", "undrained " + b + "\n" + left, ""},
		{"drain npm https://b.example/npm", exitOK, "npm https://b.example/npm true", "drained " + b + ": no new requests, 3 under way\n" + left, ""},
		{"drain npm again", exitOK, "npm again true", b + " was drained already: 3 requests under way\n" + left, ""},
		{"undrain npm again", exitOK, "npm again false", b + " was not drained\n" + left, ""},
		{"drain npm last", exitOK, "npm last true", "drained " + b + ": no new requests, 3 under way\nin rotation: none\n", "warning: no masters are left\n"},
		{"drain nowhere 1", exitError, "nowhere 1 true", "", `edge: cannot drain 1 of site nowhere: URL answers 404 Not Found: unknown site: "nowhere"` + "\n"},
		{"undrain nowhere 1", exitError, "nowhere 1 false", "", `edge: cannot undrain 1 of site nowhere: `},
		{"drain", exitUsage, "", "", `"<site> <master>"`},
		{"drain npm", exitUsage, "", "", `"<master>"`},
		{"drain npm 1 2", exitUsage, "", "", "unexpected argument 2"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			a := startAdmin(t, "")
			verb, rest, _ := strings.Cut(tt.args, " ")
			code, stdout, stderr := command(t, nil, append([]string{verb, "--admin", a.URL}, strings.Fields(rest)...)...)
			if code != tt.code || stdout != tt.stdout {
				t.Errorf("exit code %d, %q; want %d, %q", code, stdout, tt.code, tt.stdout)
			}
			if want := strings.ReplaceAll(tt.stderr, "URL answers", a.URL+" answers"); !strings.Contains(stderr, want) || want == "" && stderr != "" {
				t.Errorf("stderr is %q; want %q", stderr, want)
			}
			if tt.turned == "" != (a.turned == nil) || tt.turned != "" && !slices.Equal(a.turned, []string{tt.turned}) {
				t.Errorf("asked for %q; want %q", a.turned, tt.turned)
			}
		})
	}
}

func TestDrainAndReloadNeedTheToken(t *testing.T) {
	a := startAdmin(t, "secret")
	for _, args := range []string{"drain npm 1", "undrain npm 1", "reload"} {
		verb, rest, _ := strings.Cut(args, " ")
		line := append([]string{verb, "--admin", a.URL}, strings.Fields(rest)...)
		if code, _, stderr := command(t, nil, line...); code != exitError || !strings.Contains(stderr, "wants its token") {
			t.Errorf("%s without it: %d, %q", args, code, stderr)
		}
		if code, _, stderr := command(t, map[string]string{"EDGE_ADMIN_TOKEN": "secret"}, line...); code != exitOK {
			t.Errorf("%s with it: %d, %q", args, code, stderr)
		}
	}
}

func TestReloadCommand(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reload error
		code   int
		stdout string
		stderr string // URL stands for the listener's
	}{
		{"changes", nil, exitOK, "reloaded config.yaml, changed:\n  limits.rate\n  site npm: deny\n", "warning: beware\n"},
		{"no changes", errNothing, exitOK, "reloaded built in: nothing has changed\n", ""},
		{"mistakes", &admin.Refused{Mistakes: []string{"config.yaml:3: limits.rate: bad", "config.yaml:9: listen: \x1b[31mworse"}}, exitUsage, "",
			"config.yaml:3: limits.rate: bad\nconfig.yaml:9: listen: ?[31mworse\nedge: the new configuration is refused, and the one in use stays\n"},
		{"not now", fmt.Errorf("%w: the edge is draining", admin.ErrNotNow), exitError, "",
			"edge: cannot reload: URL answers 503 Service Unavailable: not now: the edge is draining\n"},
		{"trouble", errors.New("odd"), exitError, "", "edge: cannot reload: URL answers 500 Internal Server Error: cannot reload: odd\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := startAdmin(t, "")
			a.reload = tt.reload
			code, stdout, stderr := command(t, nil, "reload", "--admin", a.URL)
			if want := strings.ReplaceAll(tt.stderr, "URL", a.URL); code != tt.code || stdout != tt.stdout || stderr != want {
				t.Errorf("exit code %d, %q, %q; want %d, %q, %q", code, stdout, stderr, tt.code, tt.stdout, want)
			}
		})
	}
}
