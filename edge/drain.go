package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pkgedge/edge/admin"
	"pkgedge/edge/config"
	"pkgedge/edge/report"
	"pkgedge/origin"
)

// drainer takes masters out of rotation for an operator.
type drainer struct{ *edge }

// Drain does it in the configuration that serves and in those whose requests
// have not ended, so that none of them turns to the master any more.
func (d drainer) Drain(ctx context.Context, site, master string, drained bool) (admin.Rotation, error) {
	// Or a reload under way would take over what was known before.
	end, err := d.turn(ctx)
	if err != nil {
		return admin.Rotation{}, err
	}
	defer end()
	c := d.handler.running.Load()
	s, ok := c.site(site)
	if !ok {
		var names []string
		for _, s := range c.cfg.Sites {
			names = append(names, s.Name)
		}
		return admin.Rotation{}, fmt.Errorf("%w: %q; there is %s", admin.ErrUnknownSite, site, strings.Join(names, ", "))
	}
	named, err := s.mastersNamed(master)
	if err != nil {
		return admin.Rotation{}, err
	}
	for _, m := range named {
		for _, old := range d.endingSites(site) {
			old.drain(m.URL, drained)
		}
		for _, u := range s.upstreams() {
			_ = u.Drain(strconv.Itoa(m.N), drained) // one of them has it
		}
	}
	i := slices.IndexFunc(c.cfg.Sites, func(conf config.Site) bool { return conf.Name == site })
	return s.rotation(named, drained, c.cfg.Sites[i].Kind.Writes), nil
}

// mastersNamed finds the masters that an operator means: by number or URL one,
// by host all entries of that server. Two servers on one machine are two.
func (s *site) mastersNamed(name string) ([]origin.MasterStatus, error) {
	var found []origin.MasterStatus
	var all []string
	hosts := make(map[string]bool)
	for _, p := range s.pools() {
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
		return nil, fmt.Errorf("%w: %q; site %s has %s", admin.ErrUnknownMaster, name, s.name, strings.Join(all, ", "))
	case len(hosts) > 1:
		return nil, fmt.Errorf("%q %w master of site %s: use a number: %s", name, admin.ErrAmbiguousMaster, s.name, strings.Join(all, ", "))
	}
	return found, nil
}

// drain finds the master by its URL: in an earlier configuration its number may
// have been another.
func (s *site) drain(master string, drained bool) {
	for _, p := range s.pools() {
		for _, m := range p.Masters {
			if m.URL == master {
				_ = p.upstream.Drain(strconv.Itoa(m.N), drained)
			}
		}
	}
}

// rotation tells what became of the masters that were named, and what is left. A
// site that takes writes takes none without its primary.
func (s *site) rotation(before []origin.MasterStatus, drained, writes bool) admin.Rotation {
	r := admin.Rotation{Site: s.name, Drained: drained, Left: []admin.Master{}}
	for _, p := range s.pools() {
		var left []origin.MasterStatus
		concerned, primary := false, false
		for _, m := range p.Masters {
			told := admin.Master{N: m.N, URL: m.URL, Role: m.Role, Pool: p.name(), InFlight: m.InFlight}
			if i := slices.IndexFunc(before, func(b origin.MasterStatus) bool { return b.N == m.N }); i >= 0 {
				told.Changed = before[i].Drained != drained
				r.Masters = append(r.Masters, told)
				concerned = true
				primary = primary || m.Role == "primary" && drained && writes && p.Name == report.MainPool
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
			if p.scope != "" {
				who += " of " + p.scope
			}
			r.Warnings = append(r.Warnings, who+" is drained: writes (login, publish, dist-tag) are answered 503 until it is back")
		}
	}
	return r
}

// sitePool is what is known of one pool of a site's masters.
type sitePool struct {
	origin.PoolStatus
	*upstream
}

// pools are those of the site's own masters, and then those of its scopes.
func (s *site) pools() []sitePool {
	var all []sitePool
	for _, u := range s.upstreams() {
		for _, p := range u.Status() {
			all = append(all, sitePool{p, u})
		}
	}
	return all
}

// name is "masters" or "files", behind a scope's name where it is a scope's.
func (p *sitePool) name() string { return strings.TrimSpace(p.scope + " " + p.Name) }

// words is name in a sentence.
func (p *sitePool) words() string {
	words := "masters"
	if p.Name != report.MainPool {
		words = "masters for files"
	}
	if p.scope != "" {
		words += " of " + p.scope
	}
	return words
}
