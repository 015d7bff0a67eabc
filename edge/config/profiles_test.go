package config

import (
	"os"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
)

// The files of docs/profiles.md run as they stand.
func TestProfilesAreConfigurations(t *testing.T) {
	text, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"ACME_TOKEN": "a", "EDGE_ADMIN_TOKEN": "0123456789abcdef", "EDGE_HOOK_SECRET": "0123456789abcdef"}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) != 3 {
		t.Fatalf("%d files; want 3", len(blocks))
	}
	for i, block := range blocks {
		file, _, _ := strings.Cut(block, "```")
		cfg, mistakes := decodeText(file, edgetest.EnvOf(secrets))
		if len(mistakes) > 0 {
			t.Errorf("file %d: %v", i, mistakes)
			continue
		}
		if asks := cfg.Sites[0].Fresh.Clients == 0; asks != (i == 0) {
			t.Errorf("file %d: clients ask each time: %v", i, asks) // in a company one publishes, and the next one installs
		}
		for _, w := range cfg.Warnings() {
			if !strings.Contains(w, "credentials") { // the text says so
				t.Errorf("file %d: %s", i, w)
			}
		}
	}
}
