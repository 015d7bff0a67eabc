package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"

	"pkgedge/edge/conditional"
)

// Config has the parts of the API. All but Token, Listen, Page and Events are required.
type Config struct {
	// Token is the bearer token of requests that change state, and of some that read: see
	// the comment of the package. Without one only loopback peers may change state.
	Token string
	// Listen is the address of the listener, such as "127.0.0.1:8081". Its host
	// is accepted in the Host header besides loopback names.
	Listen string
	// Purger carries out purges.
	Purger Purger
	// Drainer takes masters out of rotation.
	Drainer Drainer
	// Explainer says how a request would be answered.
	Explainer Explainer
	// Reloader reads the configuration again.
	Reloader Reloader
	// Status returns the document of /status, as a value for [encoding/json].
	Status func() any
	// Ready returns nil, or the reason for a load balancer to send no traffic.
	Ready func() error
	// Metrics answers /metrics; see [Metrics.Handler].
	Metrics http.Handler
	// Page answers / for a browser, and Events the stream that it lives by. They may be nil.
	Page, Events http.Handler
	// Logger gets a line for each purge, and for each master drained.
	Logger *slog.Logger
}

const index = `edge admin

GET  /         for a browser: a page that shows all this, live
GET  /healthz  is the process alive
GET  /readyz   should it get traffic
GET  /metrics  Prometheus
GET  /status   JSON
GET  /why      ?package=… or ?url=…, and &site=…: how a request would be answered
POST /purge    {"package": "…"}, {"url": "…"}, {"site": "…"} or {"all": true};
               "site" narrows the first two, "soft": true keeps the bytes as stale,
               "dry_run": true only counts; a package may be a pattern, @types/*
POST /masters/{site}/{n}/drain    take a master out of rotation; n is its number
                                  in /status, or the host of its URL
POST /masters/{site}/{n}/undrain  put it back
POST /reload   read the configuration again

Each POST answers JSON that says what was done, or {"error": "…"}.
`

// New returns the handler of the API.
func New(cfg Config) http.Handler {
	g := newGuard(cfg.Token, cfg.Listen)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		if cfg.Page != nil && conditional.AsksForHTML(r.Header["Accept"]) {
			cfg.Page.ServeHTTP(w, r)
			return
		}
		text(w, http.StatusOK, index)
	})
	if cfg.Events != nil {
		mux.Handle("GET /events", g.contents(cfg.Events))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := cfg.Ready(); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		text(w, http.StatusOK, "ready\n")
	})
	mux.Handle("GET /metrics", g.figures(cfg.Metrics))
	mux.Handle("GET /status", g.figures(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, cfg.Status())
	})))
	mux.Handle("GET /why", g.contents(&whys{cfg.Explainer}))
	mux.Handle("POST /purge", g.changes(&purges{purger: cfg.Purger, logger: cfg.Logger}))
	mux.Handle("POST /masters/{site}/{master}/drain", g.changes(&drains{cfg.Drainer, cfg.Logger, true}))
	mux.Handle("POST /masters/{site}/{master}/undrain", g.changes(&drains{cfg.Drainer, cfg.Logger, false}))
	mux.Handle("POST /reload", g.changes(&reloads{cfg.Reloader}))
	return g.hosts(routes{mux})
}

// routes is a mux whose own refusals are JSON, too.
type routes struct{ *http.ServeMux }

func (m routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, pattern := m.Handler(r); pattern == "" {
		w = &refusal{ResponseWriter: w, request: r}
		h.ServeHTTP(w, r)
		return
	}
	m.ServeMux.ServeHTTP(w, r)
}

// refusal turns a refusal of the mux into JSON. It keeps the Allow field.
type refusal struct {
	http.ResponseWriter
	request *http.Request
}

func (w *refusal) WriteHeader(status int) {
	reason := "there is no " + w.request.URL.Path + " here: GET / lists what is"
	if status == http.StatusMethodNotAllowed {
		reason = w.request.URL.Path + " takes " + w.Header().Get("Allow") + ", not " + w.request.Method
	}
	refuse(w.ResponseWriter, status, reason)
}

// Write drops the text of the mux.
func (w *refusal) Write(text []byte) (int, error) { return len(text), nil }

// text answers with plain text.
func text(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// answer answers with v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		refuse(w, http.StatusInternalServerError, "cannot encode the answer: "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

// refuse answers with an error, which is one line.
func refuse(w http.ResponseWriter, status int, reason string) {
	answer(w, status, struct {
		Error string `json:"error"`
	}{reason})
}
