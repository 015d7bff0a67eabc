package preflight

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/report"
)

const (
	// masterLimit bounds the wait for one master.
	masterLimit = 10 * time.Second
	// maxPing is how much of an answer is looked at, in bytes.
	maxPing = 64 << 10
)

// inquiry is the question whether a master is there, and of its kind.
type inquiry struct {
	key         string
	master      config.Master
	kind, ping  string
	path        string // that a probe is configured with; "" for the ping
	credentials string
}

func inquiries(s *config.Site, key string, masters []config.Master, credentials string) (all []inquiry) {
	for _, m := range masters {
		all = append(all, inquiry{key: key, master: m, kind: s.Kind.Name, ping: s.Kind.Ping, path: s.Probe.Path, credentials: credentials})
	}
	return all
}

// ask asks the master. The status tells of its health, and the first bytes of its kind.
func (q inquiry) ask(ctx context.Context) Finding {
	name := string(q.master.Role) + " " + q.master.URL.String()
	ctx, cancel := context.WithTimeout(ctx, masterLimit)
	defer cancel()
	path := q.ping
	if q.path != "" {
		path = q.path
	}
	target := strings.TrimSuffix(q.master.URL.String(), "/") + "/" + strings.TrimPrefix(path, "/")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return wrong(q.key, "%s: %v", name, report.Cause(err))
	}
	r.Header.Set("User-Agent", "edge check")
	if q.credentials != "" {
		r.Header.Set("Authorization", q.credentials)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	begun := time.Now()
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return wrong(q.key, "%s does not answer: %v", name, report.Cause(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPing))
	took := time.Since(begun).Round(time.Millisecond)
	switch {
	case err != nil:
		return wrong(q.key, "%s breaks its answer off: %v", name, report.Cause(err))
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return wrong(q.key, "%s refuses %s with %s: are its credentials right?", name, path, resp.Status)
	case resp.StatusCode >= http.StatusInternalServerError:
		return wrong(q.key, "%s is in trouble: it answers %s with %s", name, path, resp.Status)
	case q.path != "" && resp.StatusCode != http.StatusOK:
		return wrong(q.key, "%s answers probe.path %s with %s", name, path, resp.Status)
	case q.ping != "" && q.path == "" && resp.StatusCode == http.StatusOK && len(body) < maxPing && len(bytes.TrimSpace(body)) > 0 && !json.Valid(body):
		return wrong(q.key, "%s answers %s with something that is no JSON: is it a registry of kind %s?", name, path, q.kind)
	}
	return well(q.key, "%s answers in %v", name, took)
}
