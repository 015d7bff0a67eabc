package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// drainer records the drains, and answers err.
type drainer struct {
	err  error
	seen []string
}

func (d *drainer) Drain(_ context.Context, site, master string, drained bool) (Rotation, error) {
	d.seen = append(d.seen, fmt.Sprint(site, " ", master, " ", drained))
	return Rotation{Site: site, Drained: drained, Masters: []Master{{URL: "https://" + master, Changed: true}}, Warnings: []string{"beware"}}, d.err
}

func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		header             []string
		err                error
		status             int
		contains           string
		seen               []string
	}{
		{"by number", "POST", "/masters/npm/1/drain", nil, nil, 200, `"drained": true`, []string{"npm 1 true"}},
		{"by host", "POST", "/masters/npm/a.example:4873/drain", nil, nil, 200, `"url": "https://a.example:4873"`, []string{"npm a.example:4873 true"}},
		{"by URL", "POST", "/masters/npm/http:%2F%2Fa.example%2Fnpm/drain", nil, nil, 200, `"beware"`, []string{"npm http://a.example/npm true"}},
		{"back", "POST", "/masters/npm/1/undrain", nil, nil, 200, `"drained": false`, []string{"npm 1 false"}},
		{"no such site", "POST", "/masters/x/1/drain", nil, fmt.Errorf("%w: x", ErrUnknownSite), 404, "unknown site", []string{"x 1 true"}},
		{"no such master", "POST", "/masters/npm/9/drain", nil, fmt.Errorf("%w: 9", ErrUnknownMaster), 404, "unknown master", []string{"npm 9 true"}},
		{"several masters", "POST", "/masters/npm/a/drain", nil, fmt.Errorf("a %w", ErrAmbiguousMaster), 400, "names more than one", []string{"npm a true"}},
		{"other trouble", "POST", "/masters/npm/1/drain", nil, errors.New("odd"), 500, "odd", []string{"npm 1 true"}},
		{"not by GET", "GET", "/masters/npm/1/drain", nil, nil, 405, "", nil},
		{"no such verb", "POST", "/masters/npm/1/kill", nil, nil, 404, "", nil},
		{"from a page in a browser", "POST", "/masters/npm/1/drain", []string{"Sec-Fetch-Site: cross-site"}, nil, 403, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &drainer{err: c.err}
			cfg := config(&purger{})
			cfg.Drainer = d
			w := serve(cfg, request(c.method, c.path, "", c.header...))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) || !slices.Equal(d.seen, c.seen) {
				t.Errorf("%d %s, asked %q; want %d with %q, asked %q", w.Code, w.Body, d.seen, c.status, c.contains, c.seen)
			}
		})
	}
}

func TestDrainNeedsTheToken(t *testing.T) {
	cfg := config(&purger{})
	cfg.Token = "secret"
	for want, header := range map[int][]string{401: nil, 200: {"Authorization: Bearer secret"}} {
		if w := serve(cfg, request("POST", "/masters/npm/1/drain", "", header...)); w.Code != want {
			t.Errorf("%q: %d; want %d", header, w.Code, want)
		}
	}
}

func TestReadingsAreReadWhenTheyAreAskedFor(t *testing.T) {
	m := NewMetrics(Build{})
	up := 1.0
	m.Gauges("edge_up", "Up.", []string{"site", "master"}, func(emit Emit) {
		emit(up, "npm", "a")
		emit(0, "npm", "b")
	})
	m.Counters("edge_times_total", "Times.", nil, func(emit Emit) { emit(7) })
	up = 0.5
	text := scrape(t, m)
	for _, line := range []string{
		`edge_up{master="a",site="npm"} 0.5`, `edge_up{master="b",site="npm"} 0`, "edge_times_total 7", "# TYPE edge_times_total counter",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}
