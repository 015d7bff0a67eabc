package origin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"pkgedge/origin/transport"
	"time"
)

// Probe is how masters are asked whether they are well. The zero Probe asks
// nothing: what requests find is all that is known then.
type Probe struct {
	// Path is what is asked for, an escaped path below a master's base. With ""
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
	// inOutage is the longest time between two probes while no master is left.
	inOutage = time.Second
	// maxProbe is how much of an answer is read.
	maxProbe = 1 << 20
	// smallest is the size from which a document is too long to probe with.
	smallest = 64 << 10
)

// target is what is asked for by a probe.
type target struct {
	method string
	path   string // "" for nothing to ask for
	// Refusals count for what is configured, and that alone: a ping may not
	// exist, and what was fetched may have gone since.
	configured bool
	learnt     bool
}

// learnt is the smallest thing that a master gave us of late.
type learnt struct {
	path string
	size int64
}

// learn notes what could be probed with.
func (p *pool) learn(m *master, a *Ask, size int64) {
	if _, private := a.Header["Authorization"]; private || p.probe.Path != "" && !p.isFiles() || a.Route.Transparent || !p.probes() {
		return
	}
	path := a.Route.Path
	if !p.isFiles() {
		if size > smallest || p.probePath == nil {
			return
		}
		if path = p.probePath(a.Route); path == "" {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m.heard = time.Now()
	if p.learnt.path == "" || size < p.learnt.size {
		p.learnt = learnt{path, size}
	}
}

// probes: there is something to probe with, sooner or later.
func (p *pool) probes() bool {
	return p.probe.Every > 0 && (p.probe.Path != "" || p.ping != "" || p.isFiles())
}

// target is what a master is asked for now. A ping may be answered by what stands
// before a registry that hangs, so it is enough only where there is better
// evidence: a document that the master gave a client since the last probe, and no
// request that failed after it.
func (p *pool) target(m *master) target {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.isFiles():
		return target{method: http.MethodHead, path: p.learnt.path, learnt: true}
	case p.probe.Path != "":
		return target{method: http.MethodGet, path: p.probe.Path, configured: true}
	case p.learnt.path != "" && (m.row > 0 || !m.heard.After(m.probe.at)):
		return target{method: http.MethodGet, path: p.learnt.path, learnt: true}
	}
	return target{method: http.MethodGet, path: p.ping}
}

// watch probes one master until ctx ends. It leaves a mark each time round, by
// which it can be seen to be alive.
func (p *pool) watch(ctx context.Context, m *master) {
	wait := p.interval() / 2
	for {
		p.mu.Lock()
		m.probe.beat = time.Now()
		p.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-m.kick:
			timer.Stop()
		}
		if t := p.target(m); t.path != "" {
			within, cancel := context.WithTimeout(ctx, p.probe.Timeout)
			err := p.ask(within, m, t)
			cancel()
			if ctx.Err() != nil {
				return
			}
			p.checked(m, t.path, err)
		} else {
			// Requests alone put such a master out, and time brings it back.
			p.update(func(now time.Time) {
				if m.state == out && !now.Before(m.until) {
					p.enter(m, recovering, m.why, now)
				}
			})
		}
		wait = p.interval()
	}
}

// interval is the time to the next probe. It differs each time, so that the
// probes of many edges do not arrive together.
func (p *pool) interval() time.Duration {
	p.mu.Lock()
	every := p.probe.Every
	if !p.down.IsZero() {
		every = min(every, inOutage)
	}
	p.mu.Unlock()
	const parts = 1000
	return every*9/10 + every/5*time.Duration(p.random(parts))/parts
}

// hurry has the master probed now.
func (m *master) hurry() {
	select {
	case m.kick <- struct{}{}:
	default: // it will be
	}
}

// errProbe: an answer to a probe that no healthy master gives.
var errProbe = errors.New("answered with something that is not JSON")

// sendProbe asks one master whether it is well.
func (p *pool) sendProbe(ctx context.Context, m *master, t target) error {
	req, err := http.NewRequestWithContext(ctx, t.method, m.url(t.path), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json, */*")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "pkgedge (probe)")
	transport.Identify(req.Header, p.identity)
	transport.Authorize(req.Header, p.credential)
	resp, err := m.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch refused := resp.StatusCode >= 400; {
	case transport.Failure(resp.StatusCode), refused && t.configured:
		return &transport.StatusError{Status: resp.StatusCode}
	case refused:
		if t.learnt {
			p.forget(t.path)
		}
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbe))
	if err != nil {
		return err
	}
	// A longer document is taken at its beginning; an empty one is a ping's.
	if p.ping != "" && t.method == http.MethodGet && len(body) < maxProbe && (len(body) > 0 || t.path != p.ping) && !json.Valid(body) {
		return errProbe
	}
	return nil
}

// forget ends probing with what a master does not have any more.
func (p *pool) forget(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.learnt.path == path {
		p.learnt = learnt{}
	}
}

// probeWords puts the error of a probe in words.
func (p *pool) probeWords(err error) string {
	var status *transport.StatusError
	switch {
	case errors.As(err, &status), errors.Is(err, errProbe):
		return err.Error()
	case transport.IsTimeout(err):
		return "timed out after " + p.probe.Timeout.String()
	}
	switch why := reason(err); why {
	case "refused":
		return "found the connection refused"
	case "cut":
		return "were cut off"
	case "redirects":
		return "were redirected in circles"
	}
	return fmt.Sprintf("failed: %v", err)
}
