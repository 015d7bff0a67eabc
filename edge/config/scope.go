package config

import (
	"slices"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
)

// Scope is a part of an npm site's names that has masters of its own.
type Scope struct {
	Name        string     // "@acme", in lower case
	Masters     []Master   // as a site's; at least one
	Files       []Master   // as a site's
	Credentials string     // as a site's
	Authorized  Authorized // as a site's
	Login       bool       // its masters answer logins, and requests about a client's account
}

// Authorized says how a read with an Authorization field is treated.
type Authorized string

// The ways to treat a read that carries Authorization.
const (
	AuthorizedRevalidate Authorized = "revalidate" // stored for that credential, and validated before each use
	AuthorizedCache      Authorized = "cache"      // stored for that credential, and used while it is fresh
	AuthorizedIgnore     Authorized = "ignore"     // the credential is dropped: all clients may read all that is stored
)

// setAuthorized gives a value to each Authorized that no key has set. Where the edge
// has a credential of its own, the client's is of no use. And a site with private
// scopes does not show its other masters the token that npm sends with every
// request.
func (s *Site) setAuthorized() {
	for i := range s.Scopes {
		s.Scopes[i].Authorized = authorizedOr(s.Scopes[i].Authorized, s.Scopes[i].Credentials != "")
	}
	s.Authorized = authorizedOr(s.Authorized, s.Credentials != "" || len(s.Scopes) > 0)
}

// authorizedOr returns a, or its default. drop says that the client's credential is not
// for these masters.
func authorizedOr(a Authorized, drop bool) Authorized {
	switch {
	case a != "":
		return a
	case drop:
		return AuthorizedIgnore
	}
	return AuthorizedRevalidate
}

func (d *decoder) scopes(v node.Value, dst *[]Scope) {
	var scopes []Scope
	v.Keys(`a mapping of scopes: { "@acme": { masters: [...] } }`, func(key string, v node.Value) {
		name, err := value.ParseScope(key)
		if err != nil {
			v.Bad("%v", err)
		}
		if slices.ContainsFunc(scopes, func(s Scope) bool { return s.Name == name }) {
			v.Bad("%s is there twice: names differ by more than letter case", name)
		}
		s := Scope{Name: name}
		d.scope(v, &s)
		if i := slices.IndexFunc(scopes, func(other Scope) bool { return other.Login }); s.Login && i >= 0 {
			d.Bad(v.Path+".login", "%s answers logins already: a client has one token for the site, so remove one of the two keys", scopes[i].Name)
		}
		scopes = append(scopes, s)
	})
	*dst = scopes
}

func (d *decoder) scope(v node.Value, s *Scope) {
	v.Object(node.Fields{
		"masters":     func(v node.Value) { s.Masters = d.masters(v) },
		"files":       func(v node.Value) { s.Files = d.masters(v) },
		"credentials": node.Into(&s.Credentials, value.ParseCredentials),
		"authorized":  readAuthorized(&s.Authorized),
		"login":       node.Flag(&s.Login),
	})
	if v.IsMapping() && len(s.Masters) == 0 && !d.Given(v.Path+".masters[0]") {
		d.Bad(v.Path+".masters", "is missing: a scope has masters of its own, in the form of the site's")
	}
}

func readAuthorized(dst *Authorized) func(node.Value) {
	return node.Word(dst, AuthorizedRevalidate, AuthorizedCache, AuthorizedIgnore)
}

// checkAuthorized compares the keys about credentials with the other keys.
func (d *decoder) checkAuthorized(v node.Value, s *Site) {
	if len(s.Scopes) > 0 && !s.Kind.Scoped {
		d.Bad(v.Path+".scopes", "belongs to npm's names, which a %s site has none of: remove the key", s.Kind.Name)
	}
	for key, set := range map[string]bool{".credentials": s.Credentials != "", ".authorized": s.Authorized != ""} {
		if set && s.Kind.Transparent {
			d.Bad(v.Path+key, "is not for a %s site, which does what its origin says: remove the key", s.Kind.Name)
		}
	}
	contradicts := func(path string, c string, a Authorized) {
		if c != "" && a != "" && a != AuthorizedIgnore {
			d.Bad(path+".authorized", "%s needs the client's credential, and credentials replaces it: remove one of the two keys", a)
		}
	}
	contradicts(v.Path, s.Credentials, s.Authorized)
	for _, scope := range s.Scopes {
		contradicts(v.Path+".scopes."+scope.Name, scope.Credentials, scope.Authorized)
	}
}

// open lists the parts of the site that are read with the edge's own credentials.
func (s *Site) open() (parts []string) {
	if s.Credentials != "" {
		parts = append(parts, "the site")
	}
	for _, scope := range s.Scopes {
		if scope.Credentials != "" {
			parts = append(parts, scope.Name)
		}
	}
	return parts
}
