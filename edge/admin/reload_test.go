package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// reloader counts the reloads, and answers err.
type reloader struct {
	err  error
	seen int
}

func (r *reloader) Reload(context.Context) (Reloaded, error) {
	r.seen++
	return Reloaded{Config: "config.yaml", Changed: []string{"limits.rate"}}, r.err
}

func TestReload(t *testing.T) {
	for _, c := range []struct {
		name, method string
		token        string
		header       []string
		err          error
		status       int
		contains     string
		asked        int
	}{
		{"done", "POST", "", nil, nil, 200, `"limits.rate"`, 1},
		{"with the token", "POST", "secret", []string{"Authorization: Bearer secret"}, nil, 200, `"config.yaml"`, 1},
		{"without the token", "POST", "secret", nil, nil, 401, "send the admin token", 0},
		{"from a page in a browser", "POST", "", []string{"Sec-Fetch-Site: cross-site"}, nil, 403, "", 0},
		{"not by GET", "GET", "", nil, nil, 405, "", 0},
		{"a bad configuration", "POST", "", nil, &Refused{[]string{"config.yaml:3: limits.rate: bad"}}, 422, `"config.yaml:3: limits.rate: bad"`, 1},
		{"a stopping edge", "POST", "", nil, fmt.Errorf("%w: draining", ErrNotNow), 503, "not now: draining", 1},
		{"other trouble", "POST", "", nil, errors.New("odd"), 500, "cannot reload: odd", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			re := &reloader{err: c.err}
			cfg := config(&purger{})
			cfg.Token, cfg.Reloader = c.token, re
			w := serve(cfg, request(c.method, "/reload", "", c.header...))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) || re.seen != c.asked {
				t.Errorf("%d %s, asked %d times; want %d with %q, asked %d", w.Code, w.Body, re.seen, c.status, c.contains, c.asked)
			}
			if said := strings.Contains(w.Body.String(), `"error"`); said != (c.status >= 400) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
