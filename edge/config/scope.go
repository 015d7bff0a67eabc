package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Scope is a part of an npm site's names that is kept at masters of its own.
type Scope struct {
	Name        string     // "@acme", in lower case
	Masters     []Master   // as a site's; at least one
	Files       []Master   // as a site's
	Credentials string     // as a site's
	Authorized  Authorized // as a site's
}

// Authorized says how a read that carries Authorization is treated.
type Authorized string

// The ways to treat a read that carries Authorization.
const (
	AuthorizedRevalidate Authorized = "revalidate" // stored for that credential, and a master asked before each use
	AuthorizedCache      Authorized = "cache"      // stored for that credential, and used while it is fresh
	AuthorizedIgnore     Authorized = "ignore"     // the credential is dropped: whatever is here, anybody may read
)

// setAuthorized gives what no key has said anything about its value. Where the
// edge has a credential of its own, the client's is of no use. And a site with
// private scopes does not show its other masters the token that npm sends with
// every request.
func (s *Site) setAuthorized() {
	for i := range s.Scopes {
		s.Scopes[i].Authorized = settled(s.Scopes[i].Authorized, s.Scopes[i].Credentials != "")
	}
	s.Authorized = settled(s.Authorized, s.Credentials != "" || len(s.Scopes) > 0)
}

func settled(a Authorized, drop bool) Authorized {
	switch {
	case a != "":
		return a
	case drop:
		return AuthorizedIgnore
	}
	return AuthorizedRevalidate
}

func (v value) scopes(dst *[]Scope) {
	if !v.is(yaml.MappingNode, `a mapping of scopes: { "@acme": { masters: [...] } }`) {
		return
	}
	var scopes []Scope
	for _, e := range v.entries() {
		path := v.path + "." + e.key.Value
		v.d.lines[path] = e.key.Line
		name, err := parseScope(e.key.Value)
		if err != nil {
			v.d.bad(path, "%v", err)
		}
		if slices.ContainsFunc(scopes, func(s Scope) bool { return s.Name == name }) {
			v.d.bad(path, "%s is there twice: names differ by more than letter case", name)
		}
		s := Scope{Name: name}
		v.d.value(e.value, path).scope(&s)
		scopes = append(scopes, s)
	}
	*dst = scopes
}

func (v value) scope(s *Scope) {
	v.object(fields{
		"masters":     func(v value) { s.Masters = v.masters() },
		"files":       func(v value) { s.Files = v.masters() },
		"credentials": into(&s.Credentials, parseCredentials),
		"authorized":  func(v value) { v.authorized(&s.Authorized) },
	})
	if v.node.Kind == yaml.MappingNode && len(s.Masters) == 0 && v.d.lines[v.path+".masters[0]"] == 0 {
		v.d.bad(v.path+".masters", "is missing: a scope has masters of its own, in the form of the site's")
	}
}

func (v value) authorized(dst *Authorized) {
	if word, ok := v.oneOf(string(AuthorizedRevalidate), string(AuthorizedCache), string(AuthorizedIgnore)); ok {
		*dst = Authorized(word)
	}
}

// checkAuthorized says where the keys about credentials contradict the others.
func (v value) checkAuthorized(s *Site) {
	if len(s.Scopes) > 0 && !s.Kind.Scoped {
		v.d.bad(v.path+".scopes", "belongs to npm's names, which a %s site has none of: remove the key", s.Kind.Name)
	}
	for key, set := range map[string]bool{".credentials": s.Credentials != "", ".authorized": s.Authorized != ""} {
		if set && s.Kind.Transparent {
			v.d.bad(v.path+key, "is not for a %s site, which does what its origin says: remove the key", s.Kind.Name)
		}
	}
	contradicts := func(path string, c string, a Authorized) {
		if c != "" && a != "" && a != AuthorizedIgnore {
			v.d.bad(path+".authorized", "%s needs the client's credential, and credentials replaces it: remove one of the two keys", a)
		}
	}
	contradicts(v.path, s.Credentials, s.Authorized)
	for _, scope := range s.Scopes {
		contradicts(v.path+".scopes."+scope.Name, scope.Credentials, scope.Authorized)
	}
}

var scopeName = regexp.MustCompile(`^@[a-z0-9_-][a-z0-9._-]*$`)

// parseScope reads the name of a scope.
func parseScope(text string) (string, error) {
	name := strings.ToLower(text)
	if !scopeName.MatchString(name) {
		return "", fmt.Errorf(`%q is not a scope: write "@acme", in quotes`, text)
	}
	return name, nil
}

// parseCredentials reads the value of an Authorization field; one word alone is
// a bearer token. It never repeats what it read.
func parseCredentials(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("is empty: set the variable, or remove the key")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", errors.New("has a byte in it that no field may have: is there a line break at its end?")
	case !strings.Contains(text, " "):
		return "Bearer " + text, nil
	}
	return text, nil
}

// open lists what of the site is read with the edge's own credentials.
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
