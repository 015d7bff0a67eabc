package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/origin/kind"
)

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func (d *decoder) sites(v node.Value, dst *[]Site) {
	var sites []Site
	v.Each(func(v node.Value) {
		s := NewSite(d.kinds)
		d.site(v, &s)
		s.applyDefaults()
		for i, other := range sites {
			if s.Name != "" && s.Name == other.Name {
				d.Bad(v.Path+".name", "%q is already the name of %s: give each site its own", s.Name, index("sites", i))
			}
			if where, ok := collide(&s, &other); ok {
				d.Bad(v.Path+".path", "%s is already the path of %s on %s: change one path, or give the sites different hosts", s.Path, index("sites", i), where)
			}
		}
		sites = append(sites, s)
	})
	if v.IsList() && len(sites) == 0 {
		v.Bad("is empty: write a site, or remove the key for the built-in one")
	}
	*dst = sites
}

// collide says whether a and b serve the same URLs, and on which host. One path inside another is no collision: the longer one wins there. A
// site with hosts wins over one without.
func collide(a, b *Site) (where string, ok bool) {
	if a.Path != b.Path {
		return "", false
	}
	if len(a.Hosts) == 0 && len(b.Hosts) == 0 {
		return "every host", true
	}
	i := slices.IndexFunc(a.Hosts, func(h string) bool { return slices.Contains(b.Hosts, h) })
	if i < 0 {
		return "", false
	}
	return a.Hosts[i], true
}

func (d *decoder) site(v node.Value, s *Site) {
	known := node.Fields{
		"name": node.Into(&s.Name, parseSiteName),
		"kind": func(v node.Value) {
			if word, ok := v.OneOf(kindNames(d.kinds)...); ok {
				s.Kind = kind.ByName(d.kinds, word)
			}
		},
		"path":    node.Into(&s.Path, parseSitePath),
		"hosts":   node.All(&s.Hosts, parseHost),
		"masters": func(v node.Value) { s.Masters = d.masters(v) },
		"files":   func(v node.Value) { s.Files = d.masters(v) },
		"probe": func(v node.Value) {
			v.Object(node.Fields{
				"path":    node.Into(&s.Probe.Path, parseProbePath),
				"every":   node.Into(&s.Probe.Every, parseWait),
				"timeout": node.Into(&s.Probe.Timeout, parseWait),
				"fall":    node.Into(&s.Probe.Fall, parseTimes),
				"rise":    node.Into(&s.Probe.Rise, parseTimes),
			})
		},
		"changes":     func(v node.Value) { d.changes(v, s) },
		"scopes":      func(v node.Value) { d.scopes(v, &s.Scopes) },
		"credentials": node.Into(&s.Credentials, parseCredentials),
		"authorized":  readAuthorized(&s.Authorized),
		"minimum_age": func(v node.Value) { d.minimumAge(v, s) },
		"timeouts": func(v node.Value) {
			v.Object(node.Fields{
				"connect":    node.Into(&s.Timeouts.Connect, parseWait),
				"first_byte": node.Into(&s.Timeouts.FirstByte, parseWait),
				"idle":       node.Into(&s.Timeouts.Idle, parseWait),
				"write":      node.Into(&s.Timeouts.Write, parseWait),
			})
		},
		"fresh": func(v node.Value) {
			v.Object(node.Fields{
				"metadata": node.Into(&s.Fresh.Metadata, parseDuration),
				"files":    node.Into(&s.Fresh.Files, parseDuration),
				"missing":  node.Into(&s.Fresh.Missing, parseDuration),
				"clients":  node.Into(&s.Fresh.Clients, parseClients),
				"override": node.Flag(&s.Fresh.Override),
			})
		},
		"stale": func(v node.Value) {
			v.Object(node.Fields{
				"while_revalidate": node.Into(&s.Stale.WhileRevalidate, parseDuration),
				"patience":         node.Into(&s.Stale.Patience, parseDuration),
				"if_error":         node.Into(&s.Stale.IfError, parseLife),
				"override": func(v node.Value) {
					node.Flag(&s.Stale.Override)(v)
					s.Stale.overrideGiven = true
				},
			})
		},
	}
	given := addKindKeys(known, d.kinds)
	v.Object(known)
	if !v.IsMapping() {
		return
	}
	if !d.Given(v.Path + ".name") {
		d.Bad(v.Path+".name", "is missing: name the site, for logs and metrics")
	}
	if !s.Kind.Samples && len(s.Masters) == 0 && !d.Given(v.Path+".masters[0]") {
		d.Bad(v.Path+".masters", "is empty: a %s site needs a master; only %s has embedded samples", s.Kind.Name, sampleKind(d.kinds).Name)
	}
	s.Settings = d.settings(v, s.Kind, given)
	if s.Kind.Dated {
		for i, entry := range s.MinimumAge.Exempt {
			if err := s.Kind.Exempt(entry); err != nil {
				d.Bad(index(v.Path+".minimum_age.exempt", i), "%v", err)
			}
		}
	}
	d.checkAuthorized(v, s)
	d.checkChanges(v, s)
	if s.Kind.Transparent && s.Fresh.Clients != Remaining {
		d.Bad(v.Path+".fresh.clients", "is about a registry's metadata; clients of a %s site are told what its masters say: remove the key", s.Kind.Name)
	}
	if s.MinimumAge.For > 0 && !s.Kind.Dated {
		d.Bad(v.Path+".minimum_age", "knows packages and versions, which a %s site has none of: remove the key", s.Kind.Name)
	}
}

// minimumAge reads a duration, or a mapping of one and its exemptions.
func (d *decoder) minimumAge(v node.Value, s *Site) {
	if !v.IsMapping() {
		node.Into(&s.MinimumAge.For, parseDuration)(v)
		return
	}
	before := d.Count()
	v.Object(node.Fields{"for": node.Into(&s.MinimumAge.For, parseDuration), "exempt": node.All(&s.MinimumAge.Exempt, asWritten)})
	if d.Count() == before && len(s.MinimumAge.Exempt) > 0 && s.MinimumAge.For == 0 {
		d.Bad(v.Path+".for", "is missing or 0, so there is nothing to exempt from: write a duration such as 3d, or remove the exemptions")
	}
}

// parseWait reads a duration above zero: no wait is without a bound.
func parseWait(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("must be above zero: every wait for a master has a bound")
	}
	return d, err
}

// parseClients reads the lifetime that clients are told: a duration, or "" for the
// part that is left.
func parseClients(text string) (time.Duration, error) {
	if text == "" {
		return Remaining, nil
	}
	d, err := parseDuration(text)
	if err != nil {
		err = fmt.Errorf(`%w, or "" for as long as the edge itself may`, err)
	}
	return d, err
}

// parseProbePath reads the path of a probe below a master's URL, with its query;
// "" leaves it to the edge.
func parseProbePath(text string) (string, error) {
	if u, err := url.ParseRequestURI(text); text != "" && (err != nil || u.Host != "" || !strings.HasPrefix(text, "/")) {
		return "", fmt.Errorf("%q is not a path below the masters' URLs: write /-/ping, or remove the key for a choice of the edge's own", text)
	}
	return text, nil
}

// parseTimes reads how often something must happen.
func parseTimes(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 16)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a number of probes: write 1 or more", text)
	}
	return int(n), nil
}

// parseLife reads a duration or "forever".
func parseLife(text string) (time.Duration, error) {
	if text == "forever" {
		return kind.Forever, nil
	}
	d, err := parseDuration(text)
	if err != nil {
		err = fmt.Errorf("%w, or forever", err)
	}
	return d, err
}

// masters reads a list of masters and puts the primary first.
func (d *decoder) masters(v node.Value) []Master {
	var masters []Master
	before, primary := d.Count(), -1
	v.Each(func(v node.Value) {
		var m Master
		d.master(v, &m)
		if m.Role == RolePrimary && primary >= 0 {
			d.Bad(v.Path+".role", "two primaries; only one master takes the writes: make this one a replica")
		} else if m.Role == RolePrimary {
			primary = len(masters)
		}
		if m.URL != nil && slices.ContainsFunc(masters, func(o Master) bool { return *o.URL == *m.URL }) {
			d.Bad(v.Path+".url", "%s is listed twice: remove one", m.URL)
		}
		if m.URL != nil {
			masters = append(masters, m)
		}
	})
	if d.Count() > before || len(masters) == 0 {
		return masters
	}
	if primary < 0 {
		v.Bad("no primary: give the master that takes the writes role: primary")
		return masters
	}
	first := masters[primary]
	return slices.Insert(slices.Delete(masters, primary, primary+1), 0, first)
}

func (d *decoder) master(v node.Value, m *Master) {
	v.Object(node.Fields{
		"url":  node.Into(&m.URL, ParseBase),
		"role": node.Word(&m.Role, RolePrimary, RoleReplica, RoleSpare),
	})
	if !v.IsMapping() {
		return
	}
	for _, key := range []string{".url", ".role"} {
		if !d.Given(v.Path + key) {
			d.Bad(v.Path+key, `is missing: a master is { url: "https://registry.example", role: primary }`)
		}
	}
}
