package config

import (
	"fmt"
	"slices"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
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
		"name": node.Into(&s.Name, value.ParseSiteName),
		"kind": func(v node.Value) {
			if word, ok := v.OneOf(kindNames(d.kinds)...); ok {
				s.Kind = kind.ByName(d.kinds, word)
			}
		},
		"path":    node.Into(&s.Path, value.ParseSitePath),
		"hosts":   node.All(&s.Hosts, value.ParseHost),
		"masters": func(v node.Value) { s.Masters = d.masters(v) },
		"files":   func(v node.Value) { s.Files = d.masters(v) },
		"probe": func(v node.Value) {
			v.Object(node.Fields{
				"path":    node.Into(&s.Probe.Path, value.ParseProbePath),
				"every":   node.Into(&s.Probe.Every, value.ParseWait),
				"timeout": node.Into(&s.Probe.Timeout, value.ParseWait),
				"fall":    node.Into(&s.Probe.Fall, value.ParseTimes),
				"rise":    node.Into(&s.Probe.Rise, value.ParseTimes),
			})
		},
		"changes":     func(v node.Value) { d.changes(v, s) },
		"scopes":      func(v node.Value) { d.scopes(v, &s.Scopes) },
		"credentials": node.Into(&s.Credentials, value.ParseCredentials),
		"authorized":  readAuthorized(&s.Authorized),
		"minimum_age": func(v node.Value) { d.minimumAge(v, s) },
		"timeouts": func(v node.Value) {
			v.Object(node.Fields{
				"connect":    node.Into(&s.Timeouts.Connect, value.ParseWait),
				"first_byte": node.Into(&s.Timeouts.FirstByte, value.ParseWait),
				"idle":       node.Into(&s.Timeouts.Idle, value.ParseWait),
				"write":      node.Into(&s.Timeouts.Write, value.ParseWait),
			})
		},
		"fresh": func(v node.Value) {
			v.Object(node.Fields{
				"metadata": node.Into(&s.Fresh.Metadata, value.ParseDuration),
				"files":    node.Into(&s.Fresh.Files, value.ParseDuration),
				"missing":  node.Into(&s.Fresh.Missing, value.ParseDuration),
				"clients":  node.Into(&s.Fresh.Clients, parseClients),
				"override": node.Flag(&s.Fresh.Override),
			})
		},
		"stale": func(v node.Value) {
			v.Object(node.Fields{
				"while_revalidate": node.Into(&s.Stale.WhileRevalidate, value.ParseDuration),
				"patience":         node.Into(&s.Stale.Patience, value.ParseDuration),
				"if_error":         node.Into(&s.Stale.IfError, value.ParseLife),
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
		node.Into(&s.MinimumAge.For, value.ParseDuration)(v)
		return
	}
	before := d.Count()
	v.Object(node.Fields{"for": node.Into(&s.MinimumAge.For, value.ParseDuration), "exempt": node.All(&s.MinimumAge.Exempt, value.AsWritten)})
	if d.Count() == before && len(s.MinimumAge.Exempt) > 0 && s.MinimumAge.For == 0 {
		d.Bad(v.Path+".for", "is missing or 0, so there is nothing to exempt from: write a duration such as 3d, or remove the exemptions")
	}
}

// parseClients reads the lifetime that clients are told: a duration, or "" for the
// part that is left.
func parseClients(text string) (time.Duration, error) {
	if text == "" {
		return Remaining, nil
	}
	d, err := value.ParseDuration(text)
	if err != nil {
		err = fmt.Errorf(`%w, or "" for as long as the edge itself may`, err)
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
		"url":  node.Into(&m.URL, value.ParseBase),
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
