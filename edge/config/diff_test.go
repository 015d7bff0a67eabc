package config

import (
	"reflect"
	"slices"
	"testing"
)

// Each key is either in force after a reload, or refused by its name.
func TestEveryKeyIsDecidedUpon(t *testing.T) {
	live := []string{
		"public_url", "cache.max_metadata", "sites", "limits.rate", "limits.burst", "limits.exempt", "limits.trusted_proxies",
		"tls.cert", "tls.key", "log.level", "log.access",
	}
	if got, want := keysOf(Config{}), slices.Sorted(slices.Values(append(live, startOnly...))); !slices.Equal(got, want) {
		t.Errorf("the keys are\n%q\ndecided upon are\n%q", got, want)
	}
}

// keysOf are the keys of a configuration's fields, in order.
func keysOf(c Config) []string {
	var keys []string
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
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
