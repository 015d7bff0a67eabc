package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"pkgedge/origin/kind"
)

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func (v value) sites(dst *[]Site) {
	var sites []Site
	v.each(func(v value) {
		s := NewSite(v.d.kinds)
		v.site(&s)
		s.settle()
		for i, other := range sites {
			if s.Name != "" && s.Name == other.Name {
				v.d.bad(v.path+".name", "%q is already the name of %s: give each site its own", s.Name, index("sites", i))
			}
			if where, ok := collide(&s, &other); ok {
				v.d.bad(v.path+".path", "%s is already the path of %s on %s: change one path, or give the sites different hosts", s.Path, index("sites", i), where)
			}
		}
		sites = append(sites, s)
	})
	if v.node.Kind == yaml.SequenceNode && len(sites) == 0 {
		v.bad("is empty: write a site, or remove the key for the built-in one")
	}
	*dst = sites
}

// collide says whether a and b would answer the same requests, and on which
// host. One path inside another is no collision: the longer one wins there. A
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

func (v value) site(s *Site) {
	known := fields{
		"name": into(&s.Name, parseSiteName),
		"kind": func(v value) {
			if word, ok := v.oneOf(kindNames(v.d.kinds)...); ok {
				s.Kind = kind.ByName(v.d.kinds, word)
			}
		},
		"path":    into(&s.Path, parseSitePath),
		"hosts":   all(&s.Hosts, parseHost),
		"masters": func(v value) { s.Masters = v.masters() },
		"files":   func(v value) { s.Files = v.masters() },
		"probe": func(v value) {
			v.object(fields{
				"path":    into(&s.Probe.Path, parseProbePath),
				"every":   into(&s.Probe.Every, parseWait),
				"timeout": into(&s.Probe.Timeout, parseWait),
				"fall":    into(&s.Probe.Fall, parseTimes),
				"rise":    into(&s.Probe.Rise, parseTimes),
			})
		},
		"changes":     func(v value) { v.changes(s) },
		"scopes":      func(v value) { v.scopes(&s.Scopes) },
		"credentials": into(&s.Credentials, parseCredentials),
		"authorized":  func(v value) { v.authorized(&s.Authorized) },
		"minimum_age": into(&s.MinimumAge, parseDuration),
		"timeouts": func(v value) {
			v.object(fields{
				"connect":    into(&s.Timeouts.Connect, parseWait),
				"first_byte": into(&s.Timeouts.FirstByte, parseWait),
				"idle":       into(&s.Timeouts.Idle, parseWait),
			})
		},
		"fresh": func(v value) {
			v.object(fields{
				"metadata": into(&s.Fresh.Metadata, parseDuration),
				"files":    into(&s.Fresh.Files, parseDuration),
				"missing":  into(&s.Fresh.Missing, parseDuration),
				"override": func(v value) {
					if set, ok := v.flag(); ok {
						s.Fresh.Override = set
					}
				},
			})
		},
		"stale": func(v value) {
			v.object(fields{
				"while_revalidate": into(&s.Stale.WhileRevalidate, parseDuration),
				"if_error":         into(&s.Stale.IfError, parseLife),
				"override": func(v value) {
					if set, ok := v.flag(); ok {
						s.Stale.Override, s.Stale.overrideGiven = set, true
					}
				},
			})
		},
	}
	own := addKindKeys(known, v.d.kinds)
	v.object(known)
	if v.node.Kind != yaml.MappingNode {
		return
	}
	if _, given := v.d.lines[v.path+".name"]; !given {
		v.d.bad(v.path+".name", "is missing: name the site, for logs and metrics")
	}
	if !s.Kind.Samples && len(s.Masters) == 0 && v.d.lines[v.path+".masters[0]"] == 0 {
		v.d.bad(v.path+".masters", "is empty: a %s site needs a master; only %s has embedded samples", s.Kind.Name, sampleKind(v.d.kinds).Name)
	}
	s.Settings = v.settings(s.Kind, own)
	v.checkAuthorized(s)
	v.checkChanges(s)
	if s.MinimumAge > 0 && !s.Kind.Dated {
		v.d.bad(v.path+".minimum_age", "knows packages and versions, which a %s site has none of: remove the key", s.Kind.Name)
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
func (v value) masters() []Master {
	var masters []Master
	before, primary := len(v.d.problems), -1
	v.each(func(v value) {
		var m Master
		v.master(&m)
		if m.Role == RolePrimary && primary >= 0 {
			v.d.bad(v.path+".role", "two primaries; only one master takes the writes: make this one a replica")
		} else if m.Role == RolePrimary {
			primary = len(masters)
		}
		if m.URL != nil && slices.ContainsFunc(masters, func(o Master) bool { return *o.URL == *m.URL }) {
			v.d.bad(v.path+".url", "%s is listed twice: remove one", m.URL)
		}
		if m.URL != nil {
			masters = append(masters, m)
		}
	})
	if len(v.d.problems) > before || len(masters) == 0 {
		return masters
	}
	if primary < 0 {
		v.bad("no primary: give the master that takes the writes role: primary")
		return masters
	}
	first := masters[primary]
	return slices.Insert(slices.Delete(masters, primary, primary+1), 0, first)
}

func (v value) master(m *Master) {
	var u *url.URL
	v.object(fields{
		"url": into(&u, ParseBase),
		"role": func(v value) {
			if word, ok := v.oneOf(string(RolePrimary), string(RoleReplica), string(RoleSpare)); ok {
				m.Role = Role(word)
			}
		},
	})
	m.URL = u
	if v.node.Kind != yaml.MappingNode {
		return
	}
	for _, key := range []string{".url", ".role"} {
		if _, given := v.d.lines[v.path+key]; !given {
			v.d.bad(v.path+key, `is missing: a master is { url: "https://registry.example", role: primary }`)
		}
	}
}
