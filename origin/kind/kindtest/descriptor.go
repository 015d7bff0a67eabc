package kindtest

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"pkgedge/origin/kind"
)

var (
	name    = regexp.MustCompile(`^[a-z]+$`)
	keyName = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)?$`)
)

// Describes checks a descriptor against the routes that its kind gives to requests.
func Describes(t *testing.T, d kind.Descriptor, k kind.Kind, requests []kind.Request) {
	if !name.MatchString(d.Name) {
		t.Errorf("the name %q is no lower-case word", d.Name)
	}
	seen := map[string]bool{}
	for _, key := range d.Keys {
		if !keyName.MatchString(key.Name) || seen[key.Name] || strings.Count(key.Foreign, "%s") != 1 {
			t.Errorf("the key %q has no name of its own, or no text for sites of other kinds: %q", key.Name, key.Foreign)
		}
		seen[key.Name] = true
	}
	if d.Install != "" && strings.Count(d.Install, "%s") != 1 {
		t.Errorf("the command %q has no place for a URL", d.Install)
	}
	if d.Ping != "" && d.Ping[0] != '/' {
		t.Errorf("the ping %q is no path", d.Ping)
	}
	if d.ChangePath != nil {
		if r := k.Route(kind.Request{Method: http.MethodGet, Path: d.ChangePath("a")}); !r.InFeed || r.Group != "a" {
			t.Errorf("a change of a is one of %+v", r)
		}
	}
	_, redacts := k.(kind.Redactor)
	for _, request := range requests {
		r := k.Route(request)
		if r.Class.Cacheable() && r.Transparent != d.Transparent {
			t.Errorf("%s %q: the route is transparent: %v, and the kind: %v", request.Method, request.Path, r.Transparent, d.Transparent)
		}
		if r.Class.Cacheable() && d.GroupOf != nil && d.GroupOf(r.Key) != r.Group || d.GroupOf == nil && r.Class.Cacheable() && r.Group != "" {
			t.Errorf("%s %q: a purge finds %q under another group than %q", request.Method, request.Path, r.Key, r.Group)
		}
		if (r.Strips || r.Filters) && !redacts {
			t.Errorf("%s %q: the kind cannot change a body", request.Method, request.Path)
		}
		if r.Scope != "" && !d.Scoped {
			t.Errorf("%s %q: it has a scope, and the kind has none", request.Method, request.Path)
		}
		if r.InFeed && d.ChangePath == nil {
			t.Errorf("%s %q: no feed can name it", request.Method, request.Path)
		}
		if d.ProbePath != nil {
			if path := d.ProbePath(r); path != "" && (path[0] != '/' || r.Class != kind.Metadata) {
				t.Errorf("%s %q: a probe asks for %q", request.Method, request.Path, path)
			}
		}
	}
}
