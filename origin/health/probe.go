package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"pkgedge/origin/transport"
)

// Probe is how masters are asked whether they are well. The zero Probe asks
// nothing: then requests alone tell how masters are.
type Probe struct {
	// Path is an escaped path below a master's base. With ""
	// it is the latest version in the smallest packument that was fetched. It is
	// the registry's ping as long as there is none, and of a master that has given
	// a client a document since the last probe. For a pool of files it is the
	// smallest of those, by HEAD.
	Path    string
	Every   time.Duration // between two probes, give or take a tenth
	Timeout time.Duration // for the whole answer
	Fall    int           // probes in a row that put a master out when they fail
	Rise    int           // probes in a row that bring it back
}

const (
	// inOutage is the longest time between two probes while no master is trusted.
	inOutage = time.Second
	// maxProbe is how much of an answer is read.
	maxProbe = 1 << 20
)

// target is the subject of a probe.
type target struct {
	method string
	path   string // "" for nothing to ask for
	// Refusals count for a configured path alone: a ping may not exist, and a
	// document may have gone since it was fetched.
	configured bool
	learnt     bool
}

// target is the subject of the next probe of a master. A ping may be answered by a server in
// front of a registry that hangs, so it is enough only where there is better
// evidence: a document that the master gave a client since the last probe, and no
// request that failed after it.
func (g *Group) target(m *Master) target {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.known()
	switch {
	case g.cfg.Files:
		return target{method: http.MethodHead, path: known, learnt: true}
	case g.cfg.Probe.Path != "":
		return target{method: http.MethodGet, path: g.cfg.Probe.Path, configured: true}
	case known != "" && (m.row > 0 || !m.heard.After(m.probe.at)):
		return target{method: http.MethodGet, path: known, learnt: true}
	}
	return target{method: http.MethodGet, path: g.cfg.Ping}
}

// probeLoop probes one master until ctx ends. It notes the time of each turn, by
// which it can be seen to be alive.
func (g *Group) probeLoop(ctx context.Context, m *Master) {
	wait := g.interval() / 2
	var last time.Time
	for {
		g.mu.Lock()
		m.probe.beat = time.Now()
		g.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-m.wake:
			// A client may choose requests that fail, as many as it likes.
			timer.Reset(time.Until(last.Add(min(g.cfg.Probe.Every, inOutage))))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
		last = time.Now()
		if t := g.target(m); t.path != "" {
			begun := time.Now()
			within, cancel := context.WithTimeout(ctx, g.cfg.Probe.Timeout)
			err := g.send(within, m, t)
			cancel()
			if ctx.Err() != nil {
				return
			}
			g.recordProbe(m, t.path, time.Since(begun), err)
		} else {
			// Requests alone put such a master out, and time brings it back.
			g.update(func(now time.Time) {
				if m.state == out && !now.Before(m.until) {
					g.setState(m, recovering, m.why, now)
				}
			})
		}
		wait = g.interval()
	}
}

// interval is the time to the next probe. It differs each time, so that the
// probes of many edges do not arrive together.
func (g *Group) interval() time.Duration {
	g.mu.Lock()
	every := g.cfg.Probe.Every
	if g.probedSooner {
		every = min(every, inOutage)
	}
	g.mu.Unlock()
	const parts = 1000
	return every*9/10 + every/5*time.Duration(g.cfg.Random(parts))/parts
}

// probeNow wakes the probe loop.
func (m *Master) probeNow() {
	select {
	case m.wake <- struct{}{}:
	default: // it will be
	}
}

// errProbe: an answer to a probe that no healthy master gives.
var errProbe = errors.New("answered with something that is not JSON")

// sendProbe asks one master whether it is well.
func (g *Group) sendProbe(ctx context.Context, m *Master, t target) error {
	req, err := http.NewRequestWithContext(ctx, t.method, m.URL(t.path), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json, */*")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "pkgedge (probe)")
	transport.Identify(req.Header, g.cfg.Identity)
	transport.Authorize(req.Header, g.cfg.Credential)
	resp, err := m.Client.Do(req)
	if err != nil {
		return transport.Quiet(err)
	}
	defer resp.Body.Close()
	switch refused := resp.StatusCode >= 400; {
	case transport.Failure(resp.StatusCode), refused && t.configured:
		return &transport.StatusError{Status: resp.StatusCode}
	case refused:
		if t.learnt {
			g.forget(t.path)
		}
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbe))
	if err != nil {
		return err
	}
	// A longer document is taken at its beginning; an empty one is a ping's.
	if g.cfg.Ping != "" && t.method == http.MethodGet && len(body) < maxProbe && (len(body) > 0 || t.path != g.cfg.Ping) && !json.Valid(body) {
		return errProbe
	}
	return nil
}

// forget ends probing with a document that a master does not have any more.
func (g *Group) forget(path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probeWith.path == path {
		g.probeWith = document{}
	}
}

// probeWords puts the error of a probe in words.
func (g *Group) probeWords(err error) string {
	var status *transport.StatusError
	switch {
	case errors.As(err, &status), errors.Is(err, errProbe):
		return err.Error()
	case transport.IsTimeout(err):
		return "timed out after " + g.cfg.Probe.Timeout.String()
	}
	switch Word(err) {
	case "refused":
		return "found the connection refused"
	case "cut":
		return "were cut off"
	case "redirects":
		return "were redirected in circles"
	}
	return fmt.Sprintf("failed: %v", err)
}
