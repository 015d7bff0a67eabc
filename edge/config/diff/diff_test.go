package diff

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/kinds"
)

// Each key is either in force after a reload, or refused by its name.
func TestEveryKeyIsDecidedUpon(t *testing.T) {
	live := []string{
		"public_url", "cache.max_metadata", "sites", "limits.rate", "limits.burst", "limits.exempt", "limits.trusted_proxies", "limits.fields",
		"limits.concurrent.connections", "limits.concurrent.client_connections", "limits.concurrent.requests", "limits.concurrent.client_requests",
		"limits.concurrent.client_heads", "limits.concurrent.client_bodies", "limits.concurrent.client_misses",
		"tls.cert", "tls.key", "tls.redirect", "tls.hsts", "contact", "drain.delay", "drain.limit", "fast_lane", "log.level", "log.access",
	}
	if got, want := keysOf(config.Config{}), slices.Sorted(slices.Values(append(live, startOnly...))); !slices.Equal(got, want) {
		t.Errorf("the keys are\n%q\ndecided upon are\n%q", got, want)
	}
}

// The same file is the same configuration, also to another list of kinds.
func TestSameConfigurationHasNoDifference(t *testing.T) {
	if changed, fixed := Compare(config.Default(kinds.All()), config.Default(kinds.All())); len(changed)+len(fixed) > 0 {
		t.Errorf("changed %q, fixed %q", changed, fixed)
	}
}

// A key of a kind is named as in the file.
func TestKeysOfAKindAreCompared(t *testing.T) {
	const form = "sites: [{ name: npm, minimum_age: 1h, deny: [%s], abbreviated: { time: %s } }]\n"
	old := load(t, fmt.Sprintf(form, "left", "true"))
	for _, tt := range []struct {
		deny, time string
		want       []string
	}{
		{"left", "true", nil},
		{"right", "true", []string{"site npm: deny"}},
		{"", "false", []string{"site npm: abbreviated.time", "site npm: deny"}},
	} {
		changed, fixed := Compare(old, load(t, fmt.Sprintf(form, tt.deny, tt.time)))
		if !slices.Equal(changed, tt.want) || len(fixed) > 0 {
			t.Errorf("deny [%s], time %s: %q, %q; want %q", tt.deny, tt.time, changed, fixed, tt.want)
		}
	}
}

// keysOf are the keys of a configuration's fields, in order.
func keysOf(c config.Config) []string {
	var keys []string
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				continue
			}
			if f.Type.Kind() == reflect.Struct {
				walk(prefix+keyOf(f.Name)+".", f.Type)
			} else {
				keys = append(keys, prefix+keyOf(f.Name))
			}
		}
	}
	walk("", reflect.TypeOf(c))
	slices.Sort(keys)
	return keys
}

// load reads the text of a configuration.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, kinds.All(), edgetest.NoEnv)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
