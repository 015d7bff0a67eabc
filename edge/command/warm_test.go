package command

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// npmServer answers as an edge whose packages have version 1.0.0, and no digest.
func npmServer(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case answer != nil:
			answer(w, r)
		case strings.Contains(r.URL.Path, "/-/"):
			io.WriteString(w, "the tarball")
		default:
			io.WriteString(w, `{"versions": {"1.0.0": {"dist": {}}}}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// lockfileOfA writes a package-lock.json that names a@1.0.0.
func lockfileOfA(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "package-lock.json")
	edgetest.WriteFile(t, path, `{"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": {"version": "1.0.0"}}}`)
	return path
}

func TestWarmCommand(t *testing.T) {
	e := npmServer(t, nil)
	code, stdout, stderr := command(t, nil, "warm", "--edge", e.URL+"/", lockfileOfA(t))
	if code != exitOK || stderr != "" || !strings.HasPrefix(stdout, "warmed     "+e.URL+" in ") || !strings.Contains(stdout, "tarballs   1 of 1\n") {
		t.Errorf("exit code %d, %q\n%s", code, stderr, stdout)
	}
	missing := npmServer(t, http.NotFound)
	code, stdout, stderr = command(t, nil, "warm", "--edge", missing.URL, lockfileOfA(t))
	if code != exitError || stderr != "" || !strings.Contains(stdout, "failed     1\n  a: 404 Not Found\n") {
		t.Errorf("exit code %d, %q\n%s", code, stderr, stdout)
	}
}

func TestWarmCommandSaysThatItWasInterrupted(t *testing.T) {
	arrived := make(chan struct{})
	e := npmServer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-arrived
		interrupt()
	}()
	var out, errs bytes.Buffer
	code := Run(ctx, []string{"warm", "--edge", e.URL, lockfileOfA(t)}, &out, &errs, edgetest.NoEnv)
	if code != exitError || errs.String() != "edge: interrupted\n" || !strings.Contains(out.String(), "packages   0 of 1\n") {
		t.Errorf("exit code %d, %q\n%s", code, errs.String(), out.String())
	}
}

func TestWarmAsksTheAdminListenerWhereTheSiteIs(t *testing.T) {
	e := npmServer(t, nil)
	a := startAdmin(t, "")
	lock := lockfileOfA(t)
	type site struct {
		Name   string `json:"name"`
		Kind   string `json:"kind"`
		Public string `json:"public"`
	}
	npm, other := site{"npm", "npm", e.URL}, site{"other", "npm", "https://other.example"}
	tree := site{"tree", "files", "https://tree.example"}
	for _, tt := range []struct {
		name   string
		sites  []site
		args   []string
		code   int
		stderr string
	}{
		{"the only one of kind npm", []site{tree, npm}, nil, exitOK, ""},
		{"named", []site{other, npm}, []string{"--site", "npm"}, exitOK, ""},
		{"several", []site{npm, other}, nil, exitUsage, "choose with --site one of npm, other"},
		{"of another kind", []site{tree, npm}, []string{"--site", "tree"}, exitUsage, `no site "tree" of kind npm`},
		{"none", []site{tree}, nil, exitUsage, "has no site of kind npm"},
		{"given twice", []site{npm}, []string{"--edge", e.URL}, exitUsage, "leave out --admin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.status = func() any { return map[string]any{"ready": true, "sites": tt.sites, "newer": 1} }
			code, _, stderr := command(t, nil, append([]string{"warm", "--admin", a.URL, lock}, tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, cmp.Or(tt.stderr, "\n")) && stderr != tt.stderr {
				t.Errorf("exit code %d, %q; want %d, %q", code, stderr, tt.code, tt.stderr)
			}
		})
	}
	a.Close()
	if code, _, stderr := command(t, nil, "warm", "--admin", a.URL, lock); code != exitError || !strings.Contains(stderr, "cannot reach") {
		t.Errorf("without an admin listener: exit code %d, %q", code, stderr)
	}
}

func TestWarmRefusesMistakes(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.lock"), lockfileOfA(t)
	edgetest.WriteFile(t, bad, "neither")
	for _, tt := range []struct{ args, stderr string }{
		{"", "expected \"<lockfile> ...\""},
		{dir + "/none.lock", "none.lock: cannot open it: no such file or directory"},
		{good + " " + bad, bad + ": cannot read it: not a lockfile of npm, pnpm, Yarn or Bun"},
		{dir, "cannot read it: "},
		{"--jobs 0 " + good, "--jobs: 0 is not from 1 to 256"},
		{"--jobs 257 " + good, "--jobs: 257 is not from 1 to 256"},
		{"--timeout 0s " + good, "--timeout: 0s is not more than nothing"},
		{"--edge ftp://x " + good, `edge: --edge: "ftp://x" does not begin with http:// or https://`},
	} {
		code, stdout, stderr := command(t, nil, append([]string{"warm"}, strings.Fields(tt.args)...)...)
		if code != exitUsage || !strings.Contains(stderr, tt.stderr) || stdout != "" {
			t.Errorf("%s: exit code %d, %q, %q; want %d, %q", tt.args, code, stdout, stderr, exitUsage, tt.stderr)
		}
	}
}
