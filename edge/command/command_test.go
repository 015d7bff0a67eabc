package command

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// runIn runs the command line in an empty directory.
func runIn(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	return runHere(ctx, args...)
}

func runHere(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(ctx, args, &out, &errs, edgetest.NoEnv)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	edgetest.WriteFile(t, bad, "listen: x\nfoo: 1\n")
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"help", exitOK, "check", ""},
		{"--help", exitOK, "Usage: edge <command>", ""},
		{"help serve", exitOK, "--master=URL", ""},
		{"help check", exitOK, "--config=FILE", ""},
		{"check --help", exitOK, "--config=FILE", ""},
		{"version", exitOK, "edge ", ""},
		{"check", exitOK, "built in", ""},
		{"frobnicate", exitUsage, "", "edge: there is no command \"frobnicate\"; see edge help\n"},
		{"help frobnicate", exitUsage, "", "there is no command \"frobnicate\""},
		{"check frobnicate", exitUsage, "", "unexpected argument frobnicate"},
		{"--frob", exitUsage, "", "edge: unknown flag --frob; see edge help\n"},
		{"check --listen :1", exitUsage, "", "unknown flag --listen"},
		{"--config", exitUsage, "", "--config: expected string value"},
		{"--listen nonsense", exitUsage, "", `--listen: "nonsense" is not host:port`},
		{"--master a.example", exitUsage, "", `--master: "a.example" does not begin with http:// or https://`},
		{"serve --config none.yaml", exitUsage, "", "none.yaml: cannot read it: no such file or directory\n"},
		{"check --config none.yaml", exitUsage, "", "none.yaml: cannot read it: no such file or directory\n"},
		{"check --config " + bad, exitUsage, "", bad + ":1: listen: "},
		{"--config " + bad, exitUsage, "", bad + ":2: foo: unknown key"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := runIn(t, t.Context(), strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit code %d; want %d", code, tt.code)
			}
			for _, s := range []struct{ name, got, want string }{{"stdout", stdout, tt.stdout}, {"stderr", stderr, tt.stderr}} {
				if !strings.Contains(s.got, s.want) || s.want == "" && s.got != "" {
					t.Errorf("%s is %q; want %q", s.name, s.got, s.want)
				}
			}
		})
	}
}

func TestConfigurationInTheWorkingDirectoryIsUsed(t *testing.T) {
	t.Chdir(t.TempDir())
	edgetest.WriteFile(t, "config.yaml", "listen: 127.0.0.1:7777\n")
	code, stdout, _ := runHere(t.Context(), "check")
	if code != exitOK || !strings.Contains(stdout, "config      config.yaml\nlisten      127.0.0.1:7777\n") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	edgetest.WriteFile(t, "config.yaml", "lisetn: 127.0.0.1:7777\n")
	if code, _, stderr := runHere(t.Context()); code != exitUsage || stderr != "config.yaml:1: lisetn: unknown key: did you mean listen?\n" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestCheckPrintsWhatWouldRun(t *testing.T) {
	const text = `listen: :8080
public_url: https://npm.example
admin: { listen: ":8081", token: hunter2 }
cache: { disk: 200GiB }
sites:
  - name: npm
    masters:
      - { url: "https://b.example/npm/", role: replica }
      - { url: "https://a.example", role: primary }
    abbreviated: { time: true }
  - name: tree
    kind: files
    path: /dist
    hosts: [dist.example, www.example]
    masters: [{ url: "https://c.example", role: primary }]
    fresh: { files: 30d, override: true }
    stale: { if_error: 7d }
limits: { rate: 50, exempt: [10.0.0.0/8], trusted_proxies: [192.0.2.1, 192.0.2.2] }
tls: { listen: ":443", domains: [npm.example, dist.example] }
`
	const golden = `config      config.yaml
listen      :8080
tls         :443, certificates for npm.example, dist.example
            requests to listen are redirected to https
            npm.example has not been obtained yet
            dist.example has not been obtained yet
public url  https://npm.example
admin       :8081, token set
cache       memory 256MiB, disk 200GiB in ./edge-cache
            files up to 2GiB, metadata up to 128MiB
limits      50 per client and second, burst 500, none for 10.0.0.0/8
at a time   4096 connections, 1024 of a client; 4096 requests, 2048 of a client, 64 with a body, 1024 misses; 64 heads in parts
proxies     192.0.2.1/32, 192.0.2.2/32
drain       requests have 30s to finish
fast lane   on
log         level info, access json

site npm    kind npm at https://npm.example/
  masters   primary https://a.example
            replica https://b.example/npm
  reads     with the client's credential, validated before each use
  probe     a small packument every 5s, for up to 2s, fall 3, rise 2
  times     in the abbreviated form of a packument, too
  timeouts  connect 2s, first byte 10s, idle 20s, write 10m
  fresh     metadata 5m, files 8760h, missing 10s, where the master does not say
            clients may use metadata as long as the edge may
  stale     while revalidating 24h, on error forever, even where the master forbids it
            metadata when no master has answered for 500ms

site tree   kind files at https://dist.example/dist/
  hosts     dist.example, www.example
  masters   primary https://c.example
  probe     none
  timeouts  connect 2s, first byte 10s, idle 20s, write 10m
  fresh     files 720h, missing 0s, whatever the master says
  stale     while revalidating 0s, on error 168h, unless the master forbids it
`
	t.Chdir(t.TempDir())
	edgetest.WriteFile(t, "config.yaml", text)
	code, stdout, stderr := runHere(t.Context(), "check")
	if code != exitOK || stdout != golden {
		t.Errorf("exit code %d, got\n%s\nwant\n%s", code, stdout, golden)
	}
	if !strings.HasPrefix(stderr, "warning: tls.email: ") {
		t.Errorf("stderr is %q; want the warning", stderr)
	}
}

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go9.9", Settings: []debug.BuildSetting{
		{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"},
	}}
	if got, want := wordsOf(buildOf("1.2.3", info)), "1.2.3 abc (modified) go9.9"; got != want {
		t.Errorf("version is %q; want %q", got, want)
	}
	if got := wordsOf(buildOf("1.2.3", nil)); got != "1.2.3" {
		t.Errorf("version without information is %q", got)
	}
}

func TestServeRunsUntilItIsTold(t *testing.T) {
	t.Chdir(t.TempDir())
	edgetest.WriteFile(t, "config.yaml", "admin: { listen: '' }\ntls: { listen: '' }\n")
	told, tell := context.WithCancel(t.Context())
	tell()
	if code, _, stderr := runHere(told, "--listen", "127.0.0.1:0"); code != 0 {
		t.Errorf("exit code %d after a clean drain: %s", code, stderr)
	}
}

func TestAddressInUseExitsWithAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	code, _, stderr := runIn(t, t.Context(), "--listen", addr)
	if want := "edge: listen: " + addr + " is in use by another process"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %q; want %d, %q", code, stderr, 1, want)
	}
}

func TestCheckShowsTheLifetimesOfAReleaseTree(t *testing.T) {
	t.Chdir(t.TempDir())
	for fresh, want := range map[string]string{
		"":                           "metadata 5m at most, files 8760h, missing 10s, files whatever the master says\n",
		"fresh: { metadata: 1m }":    "metadata 1m at most, files 8760h, missing 10s, files whatever the master says\n",
		"fresh: { override: true }":  "metadata 5m, files 8760h, missing 10s, whatever the master says\n",
		"fresh: { override: false }": "metadata 5m at most, files 8760h, missing 10s, files whatever the master says\n",
	} {
		edgetest.WriteFile(t, "config.yaml", "sites:\n  - name: node\n    kind: dist\n    masters: [{ url: \"https://a.example\", role: primary }]\n    "+fresh+"\n")
		code, stdout, stderr := runHere(t.Context(), "check")
		if _, got, _ := strings.Cut(stdout, "fresh     "); code != 0 || !strings.HasPrefix(got, want) {
			t.Errorf("%q: exit code %d, %q, %s; want %q", fresh, code, got, stderr, want)
		}
	}
}
