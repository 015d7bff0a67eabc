package command

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/admin"
)

func (a *adminListener) Explain(_ context.Context, q admin.Question) ([]admin.Why, error) {
	switch {
	case q.Site == "nowhere":
		return nil, fmt.Errorf("%w: %q", admin.ErrUnknownSite, q.Site)
	case q.Package == "unknown":
		return []admin.Why{{Site: "npm", Path: "/unknown", What: "packument", Now: "by a fetch", Outage: "with an error"}}, nil
	}
	return []admin.Why{{
		Site: "npm", Path: q.URL + q.Package, What: "tarball", Digest: "sha512 00ff", Withheld: "too young", Now: "at once", Outage: "at once as well",
		Stored: &admin.Stored{Status: 200, Tiers: []string{"memory", "disk"}, Master: "http://a\x1b.example", Fetched: time.Now().Add(-2 * time.Minute), Age: 3600,
			ETag: `"e"`, LastModified: "yesterday", Variants: []admin.Variant{{Name: "full", Encoding: "gzip", Bytes: 2048, ETag: `"g"`}, {Bytes: 10}}},
	}}, nil
}

func TestWhyCommand(t *testing.T) {
	const stored = `tarball of site npm: %s
  withheld  too young
  stored    status 200, in memory and disk, 1h old
  from      http://a?.example, received or validated 2m ago
  bytes     2.0 KiB full, gzip, "g"
  bytes     10 B
  validator "e" yesterday
  digest    sha512 00ff
  now       answered at once
  outage    answered at once as well
`
	const none = "packument of site npm: /unknown\n  stored    no\n  now       answered by a fetch\n  outage    answered with an error\n"
	a := startAdmin(t, "")
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string // part of it
	}{
		{"/a/-/a-1.0.0.tgz", exitOK, fmt.Sprintf(stored, "/a/-/a-1.0.0.tgz"), ""},
		{"@s%2fa", exitOK, fmt.Sprintf(stored, "@s/a"), ""},
		{"unknown", exitError, none, ""},
		{"--site nowhere a", exitError, "", "edge: cannot explain a: "},
		{"a@1.0.0", exitUsage, "", "names a version"},
		{"", exitUsage, "", `expected "<what>"`},
	} {
		code, stdout, stderr := command(t, nil, append([]string{"why", "--admin", a.URL}, strings.Fields(tt.args)...)...)
		if code != tt.code || stdout != tt.stdout || !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
			t.Errorf("why %s: exit code %d, %q, %q; want %d, %q, %q", tt.args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
		}
	}
	if code, stdout, _ := command(t, nil, "why", "--admin", a.URL, "--json", "unknown"); code != exitError || !strings.HasPrefix(stdout, "{") || !strings.Contains(stdout, `"now": "by a fetch"`) {
		t.Errorf("as JSON: exit code %d, %s", code, stdout)
	}
}

// A mistyped command was once told as an unexpected argument.
func TestMistypedCommand(t *testing.T) {
	for args, want := range map[string]string{
		"statsu":        `edge: there is no command "statsu": did you mean status?; see edge help` + "\n",
		"help purg":     `edge: there is no command "purg": did you mean purge?; see edge help` + "\n",
		"xyzzy":         `edge: there is no command "xyzzy"; see edge help` + "\n",
		"status --jsno": `did you mean "--json"`,
	} {
		code, stdout, stderr := command(t, nil, strings.Fields(args)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %q, %q; want %q", args, code, stdout, stderr, want)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	_, said, _ := command(t, nil, "version")
	if code, stdout, stderr := command(t, nil, "--version"); code != exitOK || stdout != said || stderr != "" || !strings.HasPrefix(stdout, "edge ") {
		t.Errorf("exit code %d, %q, %q; want %q", code, stdout, stderr, said)
	}
}
