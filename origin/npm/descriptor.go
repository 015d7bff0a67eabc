package npm

import (
	"net/url"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// Keys of a site's configuration.
const (
	keyDeny = "deny"
	keyTime = "abbreviated.time"
)

// Descriptor describes the kind.
func Descriptor() kind.Descriptor {
	return kind.Descriptor{
		Name: "npm",
		New:  New,
		Defaults: kind.Defaults{
			Metadata: 5 * time.Minute, Files: 8760 * time.Hour, Missing: 10 * time.Second,
			WhileRevalidate: 24 * time.Hour, IfError: kind.Forever, StaleOverride: true,
		},
		Keys: []kind.Key{
			{
				Name: keyDeny, Type: kind.List, Check: checkDeny,
				Foreign: "knows packages and versions, which a %s site has none of: remove the key",
				Show:    func(entries []string) (string, string) { return "deny", strings.Join(entries, ", ") },
			},
			{
				Name: keyTime, Type: kind.Flag,
				Foreign: "is about npm's packuments, which a %s site has none of: remove the key",
				Show: func([]string) (string, string) {
					return "times", "in the abbreviated form of a packument, too"
				},
			},
		},
		Scoped:     true,
		Dated:      true,
		Exempt:     checkExempt,
		Writes:     true,
		Ping:       "/-/ping",
		ProbePath:  probePath,
		ChangePath: func(name string) string { return "/" + url.PathEscape(name) },
		// npm names the scope of a project in a field of every request.
		GroupOf:       groupOf,
		PrivateFields: []string{"Npm-Scope", "Referer", "Pacote-Pkg-Id", "Pacote-Integrity"},
		Samples:       true,
		Lockfiles:     true,
		Install:       "npm install --registry %s PACKAGE",
		Clients:       clients,
	}
}

// clients are the package managers.
func clients(base string) []kind.Client {
	berry := "npmRegistryServer: \"" + base + "\""
	if u, err := url.Parse(base); err == nil && u.Scheme == "http" {
		berry += "\nunsafeHttpWhitelist: [\"" + u.Hostname() + "\"]"
	}
	return []kind.Client{
		{Name: "npm, pnpm", Where: ".npmrc", Lines: "registry=" + base + "/"},
		{Name: "Yarn", Where: ".yarnrc.yml", Lines: berry},
		{Name: "Yarn 1", Where: ".yarnrc", Lines: "registry \"" + base + "/\""},
		{Name: "Bun", Where: "bunfig.toml", Lines: "[install]\nregistry = \"" + base + "/\""},
	}
}

// New makes the npm registry of a site.
func New(o kind.Options) (kind.Kind, error) {
	deny := o.Settings.List(keyDeny)
	for _, entry := range deny {
		if err := checkDeny(entry); err != nil {
			return nil, err
		}
	}
	k := newKind(o.PublicBase).with(Policy{Deny: deny, MinimumAge: o.MinimumAge, Exempt: o.Exempt})
	if o.Settings.Flag(keyTime) {
		k = k.withTime()
	}
	return k, nil
}

// Withholds reports whether a tarball may be one that the site does not serve.
func (k *Kind) Withholds() bool { return k.policy != nil }

// Strip takes packages of private scopes out of an audit. A body of another
// request is left as it is, or refused where it mentions such a scope.
func (k *Kind) Strip(r kind.Route, body []byte, private func(scope string) bool) ([]byte, error) {
	if r.Class == kind.PassAny {
		return StripAudit(body, private)
	}
	return refuseMentions(body, private)
}

// Filter takes denied packages out of the results of a search.
func (k *Kind) Filter(_ kind.Route, body []byte) ([]byte, error) {
	return FilterSearch(body, k.policy.denies)
}
