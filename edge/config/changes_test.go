package config

import (
	"net/url"
	"strings"
	"testing"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/feed"
)

func TestChangesAreRead(t *testing.T) {
	for text, want := range map[string]struct {
		changes Changes
		printed string
	}{
		"":                     {Changes{Mode: feed.Couch}, ""},
		"changes: {}":          {Changes{Mode: feed.Couch}, ""},
		"changes: { url: '' }": {Changes{Mode: feed.Couch}, ""},
		"changes: { url: 'https://a.example/registry/' }":                      {Changes{URL: &url.URL{Scheme: "https", Host: "a.example", Path: "/registry"}, Mode: feed.Couch}, "couch https://a.example/registry"},
		"changes: { url: 'https://a.example', mode: poll }":                    {Changes{URL: &url.URL{Scheme: "https", Host: "a.example"}, Mode: feed.Poll}, "poll https://a.example"},
		"changes: { secret: '${HOOK}' }":                                       {Changes{Mode: feed.Couch, Secret: "s3cret"}, "no feed, and a hook"},
		"changes: { secret: '${UNSET}' }":                                      {Changes{Mode: feed.Couch}, ""},
		"changes: { url: 'https://a.example', mode: poll, secret: '${HOOK}' }": {Changes{URL: &url.URL{Scheme: "https", Host: "a.example"}, Mode: feed.Poll, Secret: "s3cret"}, "poll https://a.example, and a hook"},
	} {
		cfg, mistakes := decodeText("sites:\n  - name: npm\n    "+text+"\n", edgetest.EnvOf(map[string]string{"HOOK": "s3cret"}))
		if len(mistakes) > 0 {
			t.Errorf("%s: %v", text, mistakes)
			continue
		}
		got := cfg.Sites[0].Changes
		if got.Mode != want.changes.Mode || got.Secret != want.changes.Secret || (got.URL == nil) != (want.changes.URL == nil) || got.URL != nil && *got.URL != *want.changes.URL {
			t.Errorf("%s: %+v", text, got)
		}
		var out strings.Builder
		if err := cfg.Print(&out); err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(out.String(), "  changes "); has != (want.printed != "") || !strings.Contains(out.String(), want.printed) || strings.Contains(out.String(), "s3cret") {
			t.Errorf("%s: prints %s", text, out.String())
		}
	}
}
