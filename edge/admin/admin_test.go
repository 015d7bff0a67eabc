package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// purger records the purges, and answers err.
type purger struct {
	err  error
	seen []Purge
}

func (p *purger) Purge(_ context.Context, what Purge) (Purged, error) {
	p.seen = append(p.seen, what)
	return Purged{Responses: 2, Whole: true}, p.err
}

// config is a complete Config whose purges p carries out.
func config(p *purger) Config {
	return Config{
		Listen:  "192.0.2.10:8081",
		Purger:  p,
		Drainer: &drainer{}, Reloader: &reloader{},
		Status:  func() any { return map[string]int{"objects": 7} },
		Ready:   func() error { return nil },
		Metrics: NewMetrics(Build{}).Handler(),
		Logger:  slog.New(slog.DiscardHandler),
	}
}

// request makes a request from this machine, with header lines "Name: value".
func request(method, target, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8081"
	r.RemoteAddr = "127.0.0.1:40000"
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	return r
}

func serve(cfg Config, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	New(cfg).ServeHTTP(w, r)
	return w
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		contains     string
		allow        string
	}{
		{"GET", "/", 200, "/purge", ""},
		{"GET", "/healthz", 200, "ok", ""},
		{"HEAD", "/healthz", 200, "", ""},
		{"GET", "/readyz", 200, "ready", ""},
		{"GET", "/status", 200, `"objects": 7`, ""},
		{"GET", "/metrics", 200, "edge_build_info", ""},
		{"GET", "/nothing", 404, `"there is no /nothing here: GET / lists what is"`, ""},
		{"GET", "/purge/x", 404, `"error"`, ""},
		{"GET", "/purge", 405, `"/purge takes POST, not GET"`, "POST"},
		{"DELETE", "/purge", 405, "", "POST"},
		{"GET", "/reload", 405, "", "POST"},
		{"POST", "/healthz", 405, "", "GET, HEAD"},
		{"POST", "/status", 405, "", "GET, HEAD"},
	} {
		w := serve(config(&purger{}), request(c.method, c.path, ""))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s = %d %q, Allow %q; want %d with %q, Allow %q", c.method, c.path,
				w.Code, w.Body, w.Header().Get("Allow"), c.status, c.contains, c.allow)
		}
		if w.Code >= 400 && (!json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("%s %s: %s %q is not JSON", c.method, c.path, w.Header().Get("Content-Type"), w.Body)
		}
	}
}

func TestReadyzSaysWhyNotAndHealthzStaysWell(t *testing.T) {
	cfg := config(&purger{})
	var state error
	cfg.Ready = func() error { return state }
	h := New(cfg)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("GET", path, ""))
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		state  error
		status int
		body   string
	}{
		{errors.New("starting: the disk is being indexed"), 503, "starting: the disk is being indexed\n"},
		{nil, 200, "ready\n"},
		{errors.New("draining"), 503, "draining\n"},
	} {
		state = c.state
		if status, body := get("/readyz"); status != c.status || body != c.body {
			t.Errorf("ready %v: %d %q, want %d %q", c.state, status, body, c.status, c.body)
		}
		if status, _ := get("/healthz"); status != 200 {
			t.Errorf("ready %v: /healthz = %d, want 200", c.state, status)
		}
	}
}

func TestAStatusThatCannotBeEncodedIsAnErrorAndNotHalfAnAnswer(t *testing.T) {
	cfg := config(&purger{})
	cfg.Status = func() any { return func() {} }
	w := serve(cfg, request("GET", "/status", ""))
	if w.Code != 500 || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %q, want 500 and JSON", w.Code, w.Body)
	}
}

func TestPurgeBody(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       Purge
	}{
		{"a package", `{"package": "@s/n"}`, Purge{Package: "@s/n"}},
		{"a URL", `{"url": "https://edge.example/n/-/n-1.0.0.tgz"}`, Purge{URL: "https://edge.example/n/-/n-1.0.0.tgz"}},
		{"a path", `{"url": "/n/-/n-1.0.0.tgz"}`, Purge{URL: "/n/-/n-1.0.0.tgz"}},
		{"a pattern", `{"package": "@types/*", "dry_run": true}`, Purge{Package: "@types/*", DryRun: true}},
		{"a site", `{"site": "npm"}`, Purge{Site: "npm"}},
		{"all", `{"all": true}`, Purge{All: true}},
		{"all, soft", `{"all": true, "soft": true}`, Purge{All: true, Soft: true}},
		{"a package of a site", `{"site": "npm", "package": "n", "soft": true}`, Purge{Site: "npm", Package: "n", Soft: true}},
		{"a URL of a site", `{"site": "npm", "url": "/n"}`, Purge{Site: "npm", URL: "/n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &purger{}
			w := serve(config(p), request("POST", "/purge", c.body))
			if w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if len(p.seen) != 1 || p.seen[0] != c.want {
				t.Errorf("purged %+v, want %+v", p.seen, c.want)
			}
			var got struct{ Purged Purge }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Purged != c.want {
				t.Errorf("answer %s, %v, want %+v", w.Body, err, c.want)
			}
		})
	}
}

func TestPurgeRefusesWhatIsUnclear(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"an empty body", ``, 400, "cannot read"},
		{"nothing named", `{}`, 400, "name a"},
		{"null", `null`, 400, "name a"},
		{"only soft", `{"soft": true}`, 400, "name a"},
		{"an empty name", `{"package": ""}`, 400, "name a"},
		{"all of nothing", `{"all": false}`, 400, "name a"},
		{"an unknown key", `{"pakage": "n"}`, 400, "pakage"},
		{"a key in other case", `{"Package": "n"}`, 400, "Package"},
		{"a key twice", `{"package": "a", "package": "b"}`, 400, "duplicate"},
		{"a wrong type", `{"package": ["n"]}`, 400, "/package"},
		{"more after the object", `{"package": "n"} {"all": true}`, 400, "cannot read"},
		{"not JSON", `package=n`, 400, "cannot read"},
		{"package and url", `{"package": "n", "url": "/n"}`, 400, "not both"},
		{"all and a package", `{"all": true, "package": "n"}`, 400, "every site"},
		{"all and a site", `{"all": true, "site": "npm"}`, 400, "every site"},
		{"a bad url", `{"url": "http://[::1"}`, 400, "cannot read the url"},
		{"a relative url", `{"url": "n/-/n.tgz"}`, 400, "neither absolute nor a path"},
		{"another scheme", `{"url": "file:///n"}`, 400, "neither absolute nor a path"},
		{"too long", `{"package": "` + strings.Repeat("n", maxPurgeBody) + `"}`, 413, "larger than 16384 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &purger{}
			w := serve(config(p), request("POST", "/purge", c.body))
			var got struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("the answer is not JSON: %q", w.Body)
			}
			if w.Code != c.status || !strings.Contains(got.Error, c.says) || strings.Contains(got.Error, "\n") {
				t.Errorf("%d %q, want %d in one line with %q", w.Code, got.Error, c.status, c.says)
			}
			if len(p.seen) != 0 {
				t.Errorf("purged %+v", p.seen)
			}
		})
	}
}

func TestPurgeErrorsHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{ErrUnknownSite, 404},
		{errors.Join(errors.New("site \"x\""), ErrUnknownSite), 404},
		{ErrUnknownName, 400},
		{errors.New("disk on fire"), 500},
	} {
		w := serve(config(&purger{err: c.err}), request("POST", "/purge", `{"site": "x"}`))
		if w.Code != c.status || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%v: %d %q, want %d and JSON", c.err, w.Code, w.Body, c.status)
		}
	}
}

// gate is a Purger that returns when it is opened.
type gate struct{ entered, open chan struct{} }

func (g gate) Purge(context.Context, Purge) (Purged, error) {
	close(g.entered)
	<-g.open
	return Purged{}, nil
}

func TestPurgeIsAnsweredOnlyOnceItIsInForce(t *testing.T) {
	g := gate{make(chan struct{}), make(chan struct{})}
	cfg := config(nil)
	cfg.Purger = g
	w, answered := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(answered)
		New(cfg).ServeHTTP(w, request("POST", "/purge", `{"all": true}`))
	}()
	<-g.entered
	select {
	case <-answered:
		t.Error("answered before the purge was in force")
	default:
	}
	close(g.open)
	<-answered
	if w.Code != 200 {
		t.Errorf("status %d, want 200", w.Code)
	}
}

func FuzzPurgeBody(f *testing.F) {
	for _, seed := range []string{
		`{"package":"n"}`, `{"url":"/n","soft":true}`, `{"site":"npm"}`, `{"all":true}`, `{}`, `null`, `[]`, `{"url":"http://[::1"}`, "{\"package\":\"\xff\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p := &purger{}
		w := serve(config(p), request("POST", "/purge", body))
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: the answer %q is not JSON", body, w.Body)
		}
		if purged := len(p.seen) == 1; purged != (w.Code == 200) {
			t.Fatalf("%q: status %d, purged %v", body, w.Code, purged)
		}
		for _, what := range p.seen {
			if what == (Purge{Soft: what.Soft}) {
				t.Fatalf("%q: purged nothing in particular", body)
			}
		}
	})
}
