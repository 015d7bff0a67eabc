package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// A fleet is printed without the secrets in it, and a password of NATS is one.
func TestAFleetIsPrintedWithoutSecrets(t *testing.T) {
	cfg := mustDecode(t, `fleet: { name: pop1-a, pop: pop1, nats: ["nats://me:hunter2@n.example:4222"], listen: ":8443", token: hunter3, unheard: 1h,
  store: { url: "s3://bucket/x/", key: hunter4, secret: hunter5 } }
`)
	var out strings.Builder
	if err := cfg.Print(&out); err != nil {
		t.Fatal(err)
	}
	const want = "pop1-a of pop1, log of purges at n.example:4222, all validated after 1h without it, siblings ask at :8443 and are those heard over NATS, store s3://bucket/x\n"
	if text := out.String(); !strings.Contains(text, want) || strings.Contains(text, "hunter") {
		t.Error(text)
	}
	for _, text := range []string{"nats://me:hunter2@a b", "http://me:hunter2@a"} {
		if _, problems := decodeText("fleet: { name: a, nats: ['"+text+"'] }\n", edgetest.NoEnv); len(problems) != 1 || strings.Contains(problems.Error(), "hunter") {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

func TestAFleetsServiceName(t *testing.T) {
	cfg := mustDecode(t, "fleet: { name: a, pop: p, token: t, listen: ':8443', peers: ['dns+srv://_edge._tcp.example'] }\n")
	if got := cfg.Fleet.SRV(); got != "_edge._tcp.example" {
		t.Errorf("SRV() = %q", got)
	}
	if got := (&Fleet{Peers: []string{"a:1"}}).SRV(); got != "" {
		t.Errorf("of an address: %q", got)
	}
}

func TestTheFilesOfAFleetAreTried(t *testing.T) {
	dir := t.TempDir()
	text := "cache: { dir: " + dir + " }\nfleet:\n  name: a\n  nats: ['nats://a']\n  creds: " + dir + "/none\n  tls: { cert: " + dir + "/c, key: " + dir + "/k, ca: " + dir + "/ca }\n"
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, allKinds, edgetest.NoEnv)
	if err == nil {
		t.Fatal("no problem")
	}
	for _, want := range []string{":5: fleet.creds: " + dir + "/none: cannot read it", ":6: fleet.tls: " + dir + "/c: no such file", ":6: fleet.tls.ca: " + dir + "/ca: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}
