package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"pkgedge/edge/admin"
	"pkgedge/edge/edgetest"
)

// adminListener is an admin listener that remembers its purges.
type adminListener struct {
	*httptest.Server
	purges []admin.Purge
	status func() any
	turned []string // calls of Drain
	reload error
}

func (a *adminListener) Drain(_ context.Context, site, master string, drained bool) (admin.Rotation, error) {
	a.turned = append(a.turned, fmt.Sprintf("%s %s %t", site, master, drained))
	m := admin.Master{N: 1, URL: "https://b.example", Role: "replica", Pool: "masters", InFlight: 3, Changed: master != "again"}
	left := []admin.Master{{N: 0, URL: "https://a.example", Role: "primary", Pool: "masters"}, {N: 4, URL: "https://f.example", Role: "replica", Pool: "@s files"}}
	r := admin.Rotation{Site: site, Drained: drained, Masters: []admin.Master{m}, Left: left}
	switch {
	case site == "nowhere":
		return r, fmt.Errorf("%w: %q", admin.ErrUnknownSite, site)
	case master == "last":
		r.Left, r.Warnings = nil, []string{"no masters are left"}
	}
	return r, nil
}

func (a *adminListener) Reload(context.Context) (admin.Reloaded, error) {
	done := admin.Reloaded{Config: "config.yaml", Changed: []string{"limits.rate", "site npm: deny"}, Warnings: []string{"beware"}}
	if a.reload == errNothing {
		return admin.Reloaded{Config: "built in"}, nil
	}
	return done, a.reload
}

// errNothing has a reload change nothing.
var errNothing = errors.New("nothing")

func (a *adminListener) Purge(_ context.Context, what admin.Purge) (admin.Purged, error) {
	a.purges = append(a.purges, what)
	switch {
	case what.Site == "nowhere":
		return admin.Purged{}, fmt.Errorf("%w: %q", admin.ErrUnknownSite, what.Site)
	case what.Package == "broken":
		return admin.Purged{}, errors.New("disk full")
	case what.Package == "tpyo":
		return admin.Purged{Whole: true}, nil
	case what.All, what.Package == "huge-*":
		return admin.Purged{Responses: 90, Fetches: 2}, nil
	}
	return admin.Purged{Responses: 3, Whole: true}, nil
}

func startAdmin(t *testing.T, token string) *adminListener {
	t.Helper()
	a := &adminListener{status: func() any { return map[string]any{"ready": true} }}
	a.Server = httptest.NewServer(admin.New(admin.Config{
		Token: token, Purger: a, Drainer: a, Explainer: a, Reloader: a, Status: func() any { return a.status() }, Ready: func() error { return nil },
		Metrics: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(a.Close)
	return a
}

// command runs a command line, with the variables of env.
func command(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, &out, &errs, edgetest.EnvOf(env))
	return code, out.String(), errs.String()
}

func TestPurgeCommand(t *testing.T) {
	for _, tt := range []struct {
		args   string
		code   int
		purges []admin.Purge
		stdout string
		stderr string // part of it; URL stands for the listener's
	}{
		{"left-pad", exitOK, []admin.Purge{{Package: "left-pad"}}, "purged left-pad: 3 stored responses\n", ""},
		{"@s%2fa %40s%2Fb @s/c", exitOK, []admin.Purge{{Package: "@s/a"}, {Package: "@s/b"}, {Package: "@s/c"}},
			"purged @s/a: 3 stored responses\npurged @s/b: 3 stored responses\npurged @s/c: 3 stored responses\n", ""},
		{"/a/-/a-1.0.0.tgz https://npm.example/b", exitOK, []admin.Purge{{URL: "/a/-/a-1.0.0.tgz"}, {URL: "https://npm.example/b"}},
			"purged /a/-/a-1.0.0.tgz: 3 stored responses\npurged https://npm.example/b: 3 stored responses\n", ""},
		{"--soft --site npm a", exitOK, []admin.Purge{{Package: "a", Site: "npm", Soft: true}}, "purged a of site npm, kept as stale: 3 stored responses\n", ""},
		{"--all", exitOK, []admin.Purge{{All: true}}, "purged everything: at least 90 stored responses, for not all that is stored was looked at, and 2 being fetched\n", ""},
		{"--all --site npm", exitOK, []admin.Purge{{Site: "npm"}}, "purged everything of site npm: 3 stored responses\n", ""},
		{"--site nowhere a", exitError, []admin.Purge{{Site: "nowhere", Package: "a"}}, "",
			"edge: cannot purge a of site nowhere: URL answers 404 Not Found: unknown site: \"nowhere\"\n"},
		{"broken a", exitError, []admin.Purge{{Package: "broken"}, {Package: "a"}}, "purged a: 3 stored responses\n",
			"edge: cannot purge broken: URL answers 500 Internal Server Error: cannot purge: disk full\n"},

		{"tpyo a", exitError, []admin.Purge{{Package: "tpyo"}, {Package: "a"}}, "purged a: 3 stored responses\n", "edge: nothing that is stored is tpyo\n"},
		{"--dry-run @types/*", exitOK, []admin.Purge{{Package: "@types/*", DryRun: true}}, "would purge @types/*: 3 stored responses\n", ""},
		{"huge-*", exitError, []admin.Purge{{Package: "huge-*"}}, "", "edge: purged huge-* as far as it was found: at least 90 stored responses"},
		{"", exitUsage, nil, "", "edge: name a package or a URL, or say --all"},
		{"--site npm", exitUsage, nil, "", "edge: name a package or a URL, or say --all"},
		{"--all a", exitUsage, nil, "", "edge: --all means everything: name nothing beside it\n"},
		{"a @s/a@1.0.0", exitUsage, nil, "", `edge: "@s/a@1.0.0" names a version: a package is purged as a whole, write @s/a`},
		{"a ../b", exitUsage, nil, "", `edge: "../b" is no package name`},
		{"a%zz", exitUsage, nil, "", `edge: "a%zz" is no package name`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			a := startAdmin(t, "")
			code, stdout, stderr := command(t, nil, append([]string{"purge", "--admin", a.URL}, strings.Fields(tt.args)...)...)
			if code != tt.code || stdout != tt.stdout {
				t.Errorf("exit code %d, %q; want %d, %q", code, stdout, tt.code, tt.stdout)
			}
			if want := strings.ReplaceAll(tt.stderr, "URL answers", a.URL+" answers"); !strings.Contains(stderr, want) || want == "" && stderr != "" {
				t.Errorf("stderr is %q; want %q", stderr, want)
			}
			if !reflect.DeepEqual(a.purges, tt.purges) {
				t.Errorf("purges are %+v; want %+v", a.purges, tt.purges)
			}
		})
	}
}

func TestTheTokenComesFromTheFlagOrTheEnvironment(t *testing.T) {
	a := startAdmin(t, "secret")
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		code int
	}{
		{"none", nil, nil, exitError},
		{"environment", map[string]string{"EDGE_ADMIN_TOKEN": "secret"}, nil, exitOK},
		{"flag", nil, []string{"--token", "secret"}, exitOK},
		{"the flag wins", map[string]string{"EDGE_ADMIN_TOKEN": "secret"}, []string{"--token", "wrong"}, exitError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := command(t, tt.env, append([]string{"purge", "--admin", a.URL, "a"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit code %d, %q; want %d", code, stderr, tt.code)
			}
			if want := "wants its token: set EDGE_ADMIN_TOKEN"; code != exitOK && !strings.Contains(stderr, want) {
				t.Errorf("stderr is %q; want %q", stderr, want)
			}
		})
	}
}

func TestTheAdminURLComesFromTheFlagOrTheEnvironment(t *testing.T) {
	a := startAdmin(t, "")
	env := map[string]string{"EDGE_ADMIN_URL": a.URL}
	if code, _, stderr := command(t, env, "purge", "a"); code != exitOK {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if code, _, stderr := command(t, env, "purge", "--admin", "http://127.0.0.1:1", "a"); code != exitError || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("exit code %d, %s; want the flag to win", code, stderr)
	}
	env["EDGE_ADMIN_URL"] = "127.0.0.1:8081"
	if code, _, stderr := command(t, env, "status"); code != exitUsage || !strings.Contains(stderr, "EDGE_ADMIN_URL: ") {
		t.Errorf("exit code %d, %s; want the variable's name", code, stderr)
	}
}

func TestTheTokenIsNotSentElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed a redirect, with Authorization %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	a := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer a.Close()
	if code, _, stderr := command(t, nil, "purge", "--admin", a.URL, "--token", "secret", "a"); code != exitError || !strings.Contains(stderr, "307") {
		t.Errorf("exit code %d, %q; want %d and the status", code, stderr, exitError)
	}
}

func TestStatusCommand(t *testing.T) {
	const nothing = "\ncache\n  memory   %s in 0 objects\n  disk     0 B in 0 objects, 0 evicted\n  fetches  0 under way\n"
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	answers := map[string]string{
		"/ready/status":    `{"ready": true, "newer": {"x": [1, 2]}, "cache": {"memory_bytes": 1536, "scan_percent": 100}}`,
		"/draining/status": `{"ready": false, "why": "draining", "cache": {"scan_percent": 100}}`,
		"/page/status":     `<html>`,
		"/other/status":    `{"status": "ok"}`,
		"/list/status":     `[]`,
		"/cut/status":      `{"ready": true, "sites": [{"name": "npm"`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, text)
	}))
	defer s.Close()
	for _, tt := range []struct {
		admin  string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{s.URL + "/ready", nil, exitOK, "ready\n\nall is well\n" + fmt.Sprintf(nothing, "1.5 KiB"), ""},
		{s.URL + "/ready/", []string{"--json"}, exitOK, answers["/ready/status"], ""},
		{s.URL + "/draining", nil, exitError, "NOT READY\n\nwrong\n  !! not ready: draining\n" + fmt.Sprintf(nothing, "0 B"), "edge: not ready\n"},
		{s.URL + "/draining", []string{"--json"}, exitError, answers["/draining/status"], "edge: not ready\n"},
		{s.URL + "/page", nil, exitError, "", "edge: cannot read the status of " + s.URL + "/page: "},
		{s.URL + "/other", []string{"--json"}, exitError, "", `it does not say "ready"`},
		{s.URL + "/list", nil, exitError, "", "cannot read the status of "},
		{s.URL + "/cut", nil, exitError, "", "unexpected EOF"},
		{s.URL + "/nothing", nil, exitError, "", s.URL + "/nothing answers 404 Not Found\n"},
		{gone.URL, nil, exitError, "", "edge: cannot reach the admin listener at " + gone.URL + ": "},
		{"127.0.0.1:8081", nil, exitUsage, "", `edge: --admin: "127.0.0.1:8081" `},
	} {
		t.Run(strings.TrimPrefix(tt.admin, s.URL)+strings.Join(tt.args, ""), func(t *testing.T) {
			code, stdout, stderr := command(t, nil, append([]string{"status", "--admin", tt.admin}, tt.args...)...)
			if code != tt.code || stdout != tt.stdout {
				t.Errorf("exit code %d, %q; want %d, %q", code, stdout, tt.code, tt.stdout)
			}
			if !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
				t.Errorf("stderr is %q; want %q", stderr, tt.stderr)
			}
		})
	}
}
