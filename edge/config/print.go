package config

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/config/value"
)

// Print writes the settings that the edge would run with, for a person to check.
// It leaves secrets out.
func (c *Config) Print(out io.Writer) error {
	w := bufio.NewWriter(out) // its Flush returns the first error
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	masters := func(name string, all []Master) {
		for _, m := range all {
			row(name, "%s %s", m.Role, m.URL)
			name = ""
		}
	}
	row("listen", "%s", cmp.Or(c.Listen, "off"))
	row("tls", "%s", c.TLS)
	if c.TLS.Listen != "" {
		row("", "%s", c.leads())
	}
	for i := range c.certificates {
		cert := &c.certificates[i]
		row("", "%s %s", cert.Title(), cert.Text(time.Now()))
	}
	row("public url", "%s", c.PublicURL)
	if c.Contact != "" {
		row("contact", "%s", c.Contact)
	}
	admin := cmp.Or(c.Admin.Listen, "off")
	if c.Admin.Listen != "" && c.Admin.Token == "" {
		admin += ", no token"
	} else if c.Admin.Listen != "" {
		admin += ", token set"
	}
	row("admin", "%s", admin)
	row("cache", "memory %s, disk %s in %s", value.FormatSize(c.Cache.Memory), value.FormatSize(c.Cache.Disk), c.Cache.Dir)
	row("", "files up to %s, metadata up to %s", value.FormatSize(c.Cache.MaxObject), value.FormatSize(c.Cache.MaxMetadata))
	row("limits", "%s", c.Limits)
	proxies := orNone(c.Limits.TrustedProxies)
	if c.Limits.ProxyProtocol {
		proxies += ", by the PROXY protocol alone"
	}
	row("at a time", "%s", c.Concurrent())
	row("proxies", "%s", proxies)
	row("drain", "%s", c.Drain)
	if c.Fleet.Enabled() {
		row("fleet", "%s", c.Fleet)
	}
	row("fast lane", "%s", onOff(c.FastLane))
	row("log", "level %s, access %s", strings.ToLower(c.Log.Level.String()), c.Log.Access)
	for i := range c.Sites {
		s := &c.Sites[i]
		fmt.Fprintln(w)
		row("site "+s.Name, "kind %s at %s/", s.Kind.Name, c.Public(s))
		if len(s.Hosts) > 0 {
			row("  hosts", "%s", strings.Join(s.Hosts, ", "))
		}
		if len(s.Masters) == 0 {
			row("  masters", "two embedded samples, on loopback")
		}
		masters("  masters", s.Masters)
		masters("  files", s.Files)
		if !s.Kind.Transparent {
			row("  reads", "%s", reads(s.Credentials, s.Authorized))
		}
		for _, scope := range s.Scopes {
			masters("  "+scope.Name, slices.Concat(scope.Masters, scope.Files))
			row("", "%s", reads(scope.Credentials, scope.Authorized))
		}
		if s.Probe.Path == "" && s.Kind.Ping == "" {
			row("  probe", "none")
		} else {
			row("  probe", "%s", s.Probe)
		}
		for _, r := range s.restrictions() {
			row("  "+r[0], "%s", r[1])
		}
		if s.Changes.URL != nil || s.Changes.Secret != "" {
			row("  changes", "%s", s.Changes)
		}
		t, f := s.Timeouts, s.Fresh
		row("  timeouts", "connect %s, first byte %s, idle %s, write %s",
			value.FormatDuration(t.Connect), value.FormatDuration(t.FirstByte), value.FormatDuration(t.Idle), value.FormatDuration(t.Write))
		when := "where the master does not say"
		if f.Override {
			when = "whatever the master says"
		}
		metadata := ""
		switch {
		case s.Kind.Transparent:
		case s.Kind.OneLifetime && !f.Override:
			metadata = "metadata " + value.FormatDuration(f.Metadata) + " at most, "
			when = "files whatever the master says"
		default:
			metadata = "metadata " + value.FormatDuration(f.Metadata) + ", "
		}
		row("  fresh", "%sfiles %s, missing %s, %s",
			metadata, value.FormatDuration(f.Files), value.FormatDuration(f.Missing), when)
		if !s.Kind.Transparent {
			row("", "%s", f.clients())
		}
		obeys := "unless the master forbids it"
		if s.Stale.Override {
			obeys = "even where the master forbids it"
		}
		row("  stale", "while revalidating %s, on error %s, %s",
			value.FormatDuration(s.Stale.WhileRevalidate), value.FormatDuration(s.Stale.IfError), obeys)
		if !s.Kind.Transparent {
			row("", "%s", s.Stale.patience())
		}
	}
	return w.Flush()
}

// clients says how long clients may use metadata.
func (f *Fresh) clients() string {
	switch f.Clients {
	case Remaining:
		return "clients may use metadata as long as the edge may"
	case 0:
		return "clients ask for metadata each time"
	}
	return "clients may use metadata for " + value.FormatDuration(f.Clients)
}

// patience says when stale metadata is used.
func (s *Stale) patience() string {
	if s.Patience == 0 {
		return "metadata at once, while a master is asked in the background"
	}
	return "metadata when no master has answered for " + value.FormatDuration(s.Patience)
}

// restrictions returns a label and a text for each key of the kind, and for the
// minimum age of releases, sorted by label.
func (s *Site) restrictions() (rows [][2]string) {
	if age := s.MinimumAge; age.For > 0 {
		text := fmt.Sprintf("published at least %s ago", value.FormatDuration(age.For))
		if len(age.Exempt) > 0 {
			text += ", but for " + strings.Join(age.Exempt, ", ")
		}
		rows = append(rows, [2]string{"releases", text})
	}
	for _, key := range s.Kind.Keys {
		if values := s.Settings[key.Name]; len(values) > 0 && key.Show != nil {
			label, text := key.Show(values)
			rows = append(rows, [2]string{label, text})
		}
	}
	slices.SortFunc(rows, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return rows
}

// reads describes the credentials that reads are sent with.
func reads(own string, a Authorized) string {
	switch {
	case own != "":
		return "with the edge's own credential, for whoever asks"
	case a == AuthorizedIgnore:
		return "without the client's credential"
	case a == AuthorizedCache:
		return "with the client's credential, cached for it"
	}
	return "with the client's credential, validated before each use"
}

// leads says how clients are led to the encrypted listener.
func (c *Config) leads() string {
	text := "requests to listen are answered there"
	switch {
	case c.Listen == "":
		text = "there is no plain listener"
	case c.Redirects():
		text = "requests to listen are redirected to https"
	}
	if c.TLS.HSTS > 0 {
		text += ", browsers stay for " + value.FormatDuration(c.TLS.HSTS)
	}
	return text
}

// String describes the encrypted listener.
func (t TLS) String() string {
	switch {
	case t.Listen == "":
		return "off"
	case t.Cert != "":
		return fmt.Sprintf("%s, certificate %s", t.Listen, t.Cert)
	}
	text := t.Listen
	for _, names := range []struct {
		are  []string
		when string
	}{{t.Domains, ""}, {t.OnDemand, ", when a client asks for it"}} {
		if len(names.are) > 0 {
			text += ", certificates for " + strings.Join(names.are, ", ") + names.when
		}
	}
	if t.Profile != "" {
		text += ", profile " + t.Profile
	}
	if t.CA != "" {
		text += ", from " + t.CA
	}
	if t.Challenge != ChallengeAuto {
		text += ", by " + string(t.Challenge)
	}
	return text
}

// String describes the end of the edge.
func (d Drain) String() string {
	text := "requests have " + value.FormatDuration(d.Limit) + " to finish"
	if d.Delay > 0 {
		text += ", after " + value.FormatDuration(d.Delay) + " of not being ready"
	}
	return text
}

// String describes the probes of a site's masters.
func (p Probe) String() string {
	return fmt.Sprintf("%s every %s, for up to %s, fall %d, rise %d",
		cmp.Or(p.Path, "a small packument"), value.FormatDuration(p.Every), value.FormatDuration(p.Timeout), p.Fall, p.Rise)
}

// String describes the budget of a client.
func (l Limits) String() string {
	if l.Rate == 0 {
		return "off"
	}
	s := fmt.Sprintf("%s per client and second, burst %d", strconv.FormatFloat(l.Rate, 'f', -1, 64), l.Burst)
	if len(l.Exempt) > 0 {
		s += ", none for " + orNone(l.Exempt)
	}
	if l.Fields {
		s += ", told in RateLimit"
	}
	return s
}

// String describes the bounds of things under way.
func (c Concurrent) String() string {
	return fmt.Sprintf("%d connections, %d of a client; %d requests, %d of a client, %d with a body, %d misses; %d heads in parts",
		c.Connections, c.ClientConnections, c.Requests, c.ClientRequests, c.ClientBodies, c.ClientMisses, c.ClientHeads)
}

func orNone(prefixes []netip.Prefix) string {
	if len(prefixes) == 0 {
		return "none"
	}
	words := make([]string, len(prefixes))
	for i, p := range prefixes {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}

func onOff(set bool) string {
	if set {
		return "on"
	}
	return "off"
}
