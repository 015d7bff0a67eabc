package daemon

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pkgedge/edge/admin"
	"pkgedge/edge/report"
	"pkgedge/edge/site"
	"pkgedge/origin"
)

// drainer takes masters out of rotation for an operator.
type drainer struct{ *Daemon }

// Drain does it in the configuration that serves. Earlier ones whose requests have
// not ended know the same masters, so that none of them turns to the master any
// more.
func (d drainer) Drain(_ context.Context, name, master string, drained bool) (admin.Rotation, error) {
	g := d.serving()
	s, ok := g.Sites.Named(name)
	if !ok {
		var names []string
		for _, s := range g.cfg.Sites {
			names = append(names, s.Name)
		}
		return admin.Rotation{}, fmt.Errorf("%w: %q; there is %s", admin.ErrUnknownSite, name, strings.Join(names, ", "))
	}
	named, err := mastersNamed(s, master)
	if err != nil {
		return admin.Rotation{}, err
	}
	for _, m := range named {
		for _, u := range s.Upstreams() {
			_ = u.Drain(strconv.Itoa(m.N), drained) // one of them has it
		}
	}
	return rotation(s, named, drained), nil
}

// mastersNamed finds the masters that an operator means: by number or URL one,
// by host all entries of that server. Two servers on one machine are two.
func mastersNamed(s *site.Site, name string) ([]origin.MasterStatus, error) {
	var found []origin.MasterStatus
	var all []string
	hosts := make(map[string]bool)
	for _, p := range poolsOf(s) {
		for _, m := range p.Masters {
			all = append(all, fmt.Sprintf("%d (%s)", m.N, m.URL))
			if u, err := url.Parse(m.URL); err == nil && (name == strconv.Itoa(m.N) || name == m.URL || name == u.Host || name == u.Hostname()) {
				found = append(found, m)
				hosts[u.Host] = true
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%w: %q; site %s has %s", admin.ErrUnknownMaster, name, s.Name, strings.Join(all, ", "))
	case len(hosts) > 1:
		return nil, fmt.Errorf("%q %w master of site %s: use a number: %s", name, admin.ErrAmbiguousMaster, s.Name, strings.Join(all, ", "))
	}
	return found, nil
}

// rotation tells how the masters that were named have changed, and which are left.
// A site that takes writes takes none without its primary.
func rotation(s *site.Site, before []origin.MasterStatus, drained bool) admin.Rotation {
	r := admin.Rotation{Site: s.Name, Drained: drained, Left: []admin.Master{}}
	for _, p := range poolsOf(s) {
		var left []origin.MasterStatus
		concerned, primary := false, false
		for _, m := range p.Masters {
			told := admin.Master{N: m.N, URL: m.URL, Role: m.Role, Pool: p.name(), InFlight: m.InFlight}
			if i := slices.IndexFunc(before, func(b origin.MasterStatus) bool { return b.N == m.N }); i >= 0 {
				told.Changed = before[i].Drained != drained
				r.Masters = append(r.Masters, told)
				concerned = true
				primary = primary || m.Role == "primary" && drained && s.Kind.Writes && p.Name == report.MainPool
			}
			if m.Up() {
				left = append(left, m)
			}
		}
		if !concerned {
			continue
		}
		for _, m := range left {
			r.Left = append(r.Left, admin.Master{N: m.N, URL: m.URL, Role: m.Role, Pool: p.name(), InFlight: m.InFlight})
		}
		if len(left) == 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("no %s are left in rotation: clients get what is stored, and 503 for the rest", p.words()))
		} else if !slices.ContainsFunc(left, func(m origin.MasterStatus) bool { return m.Role != "spare" }) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("only spares are left of the %s", p.words()))
		}
		if primary {
			who := "the primary"
			if p.Scope != "" {
				who += " of " + p.Scope
			}
			r.Warnings = append(r.Warnings, who+" is drained: writes (login, publish, dist-tag) are answered 503 until it is back")
		}
	}
	return r
}

// sitePool is one pool of a site's masters.
type sitePool struct {
	origin.PoolStatus
	*site.Upstream
}

// poolsOf are those of the site's own masters, and then those of its scopes.
func poolsOf(s *site.Site) []sitePool {
	var all []sitePool
	for _, u := range s.Upstreams() {
		for _, p := range u.Status() {
			all = append(all, sitePool{p, u})
		}
	}
	return all
}

// name is "masters" or "files", behind a scope's name where it is a scope's.
func (p *sitePool) name() string { return strings.TrimSpace(p.Scope + " " + p.Name) }

// words is name in a sentence.
func (p *sitePool) words() string {
	words := "masters"
	if p.Name != report.MainPool {
		words = "masters for files"
	}
	if p.Scope != "" {
		words += " of " + p.Scope
	}
	return words
}
