package fetch

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
)

// Neither the query of a client's URL nor the signed target of a master's redirect is in an
// error or in the log.
func TestNoErrorTellsAQuery(t *testing.T) {
	const secret = "geheim"
	nowhere := "http://user:" + secret + "@127.0.0.1:1/object?X-Amz-Signature=" + secret
	master := origintest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/gone") {
			panic(http.ErrAbortHandler)
		}
		http.Redirect(w, r, nowhere, http.StatusFound)
	})
	var log bytes.Buffer
	logged := func(c *setup) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	for _, tt := range []struct{ kind, path, query string }{
		{"npm", aPackument, ""},
		{"npm", aTarball, ""},
		{"files", "/gone", "token=" + secret},
	} {
		b := newBehind(t, []string{master}, ofKind(tt.kind), logged)
		route := b.Route(kind.Request{Method: http.MethodGet, Path: tt.path, Query: tt.query})
		err := b.Fetch(t.Context(), pool.Request{Route: route}, &origintest.Recorder{})
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s%s: %v", tt.kind, tt.path, err)
		}
	}
	if text := log.String(); strings.Contains(text, secret) || !strings.Contains(text, "/object") {
		t.Errorf("the log: %s", text)
	}
}
