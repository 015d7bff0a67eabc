package site

import (
	"strings"
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/edge/config"
	"pkgedge/origin/kind"
)

// The table of docs/decisions/0013.
func TestRules(t *testing.T) {
	const day = 24 * time.Hour
	fresh := config.Fresh{Metadata: time.Minute, Files: day, Missing: time.Second}
	override := fresh
	override.Override = true
	heuristic := config.Fresh{Metadata: kind.Heuristic, Files: kind.Heuristic, Override: true}
	stale := config.Stale{WhileRevalidate: time.Hour, Patience: time.Second, IfError: policy.Forever}
	overridden := stale
	overridden.Override = true
	registry, tree := new(kind.Descriptor), &kind.Descriptor{OneLifetime: true}
	missing := policy.AtMost(time.Second)
	windows := policy.Rule{Missing: missing, Grace: policy.Window{Default: time.Hour}, Keep: policy.Window{Default: policy.Forever}}
	for name, tt := range map[string]struct {
		site            config.Site
		metadata, files policy.Clamp
		common          policy.Rule // Missing, Grace and Keep
		heuristic       bool
	}{
		"a registry":             {config.Site{Kind: registry, Fresh: fresh, Stale: stale}, policy.Clamp{Default: time.Minute}, policy.Clamp{Default: day}, windows, false},
		"fresh.override":         {config.Site{Kind: registry, Fresh: override, Stale: stale}, policy.Exactly(time.Minute), policy.Exactly(day), windows, false},
		"a release tree":         {config.Site{Kind: tree, Fresh: fresh, Stale: stale}, policy.AtMost(time.Minute), policy.Exactly(day), windows, false},
		"a tree, fresh.override": {config.Site{Kind: tree, Fresh: override, Stale: stale}, policy.Exactly(time.Minute), policy.Exactly(day), windows, false},
		"stale.override": {config.Site{Kind: registry, Fresh: fresh, Stale: overridden}, policy.Clamp{Default: time.Minute}, policy.Clamp{Default: day}, policy.Rule{
			Missing: missing, Grace: policy.Window{Default: time.Hour, Min: time.Hour}, Keep: policy.Window{Default: policy.Forever, Min: policy.Forever},
		}, false},
		"the heuristic": {config.Site{Kind: registry, Fresh: heuristic}, policy.Clamp{}, policy.Clamp{}, policy.Rule{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			metadata, files := rules(&tt.site)
			for i, r := range []struct {
				have policy.Rule
				ok   policy.Clamp
			}{{metadata, tt.metadata}, {files, tt.files}} {
				want := tt.common
				want.OK, want.Heuristic = r.ok, tt.heuristic
				if i == 0 {
					want.Patience = tt.site.Stale.Patience
				}
				if r.have != want {
					t.Errorf("%+v, want %+v", r.have, want)
				}
			}
		})
	}
}

func TestACredentialIsNotWrittenDown(t *testing.T) {
	o := ownerOf([]string{"Bearer alice"})
	if o == "" || strings.Contains(o, "alice") || o == ownerOf([]string{"Bearer bob"}) {
		t.Errorf("owner %q", o)
	}
}
