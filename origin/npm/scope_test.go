package npm

import (
	"slices"
	"strings"
	"testing"

	"pkgedge/origin/kind"
)

func TestEveryRouteSaysItsScope(t *testing.T) {
	k := newKind(testBase)
	for line, want := range map[string]string{
		"GET /@acme/n": "@acme", "GET /@acme%2fn": "@acme", "GET /%40acme%2Fn": "@acme", "HEAD /@acme/n": "@acme",
		"GET /@Acme/n":         "@acme",
		"GET /@acme/n/1.0.0":   "@acme",
		"GET /@acme%2fn/beta":  "@acme",
		"GET /@acme-/n":        "@acme-",
		"GET /@ac!me/n/1.0.0":  "@ac!me",
		"GET /@acme-/n/x/y":    "@acme-",
		"PUT /@ac!me/n":        "@ac!me",
		"GET /acme":            "",
		"GET /acme/1.0.0":      "",
		"PUT /acme":            "",
		"PUT /acme?x=@beta":    "",
		"GET /acme?write=true": "",

		"GET /@acme/n/-/n-1.0.0.tgz":                 "@acme",
		"GET /@acme%2fn/-/n-1.0.0.tgz":               "@acme",
		"GET /@acme/n/-/@acme/n-1.0.0.tgz":           "@acme",
		"GET /@acme/n?write=true":                    "@acme",
		"GET /@acme/n/1.0.0?write=true":              "@acme",
		"PUT /@acme%2fn":                             "@acme",
		"PUT /@acme%2fn/-rev/7":                      "@acme",
		"DELETE /@acme%2fn/-rev/7":                   "@acme",
		"DELETE /@acme/n/-/n-1.0.0.tgz/-rev/7":       "@acme",
		"POST /@acme/n/x/y":                          "@acme",
		"GET /-/package/@acme%2fn/dist-tags":         "@acme",
		"PUT /-/package/@acme%2fn/dist-tags/latest":  "@acme",
		"DELETE /-/package/@acme/n/dist-tags/beta":   "@acme",
		"GET /-/package/@acme%2fn/visibility":        "@acme",
		"POST /-/package/@acme%2fn/access":           "@acme",
		"GET /-/package/@acme%2Fn/collaborators":     "@acme",
		"GET /-/package/@acme%2Fn/trust/7":           "@acme",
		"GET /-/package/@acme%2Fn":                   "@acme",
		"GET /-/package/@acme":                       "@acme",
		"GET /-/package/n/dist-tags":                 "",
		"GET /-/npm/v1/attestations/@acme/n@1.0.0":   "@acme",
		"GET /-/npm/v1/attestations/@acme%2fn@1.0.0": "@acme",
		"POST /-/npm/v1/attestations/@acme%2fn":      "@acme",

		"POST /-/npm/v1/oidc/token/exchange/package/@acme%2fn": "@acme",
		"POST /-/npm/v1/oidc/token/exchange/package/n":         "",
		"GET /-/org/acme/package":                              "@acme",
		"GET /-/org/%41cme/user":                               "@acme",
		"GET /-/org/@acme/team":                                "@acme",
		"PUT /-/org/acme/user":                                 "@acme",
		"GET /-/team/acme/devs/user":                           "@acme",
		"PUT /-/team/acme/devs/package?x=@other":               "@acme",
		"GET /-/user/acme/package":                             "@acme",
		"GET /-/org":                                           "",
		"GET /-/stage/package/@acme%2fn":                       "@acme",
		"GET /-/stage?package=%40acme%2Fn":                     "@acme",
		"POST /-/stage/7/approve":                              "",
		"GET /-/npm/v1/hooks?package=%40acme%2fn":              "@acme",
		"GET /-/_view/starredByUser?key=%22me%22":              "",
		"GET /-/anything/@acme/n":                              "@acme",
		"GET /-/whoami":                                        "",
		"PUT /-/user/org.couchdb.user:me@acme":                 "",
		"DELETE /-/user/token/x@acme":                          "",
		"GET /-/v1/done?sessionId=x@acme":                      "",
		"GET /-/npm/v1/keys":                                   "",
		"POST /-/npm/v1/security/audits":                       "",

		"GET /-/v1/search?text=acme":                "",
		"GET /-/v1/search?text=@acme":               "@acme",
		"GET /-/v1/search?text=%40acme":             "@acme",
		"GET /-/v1/search?text=%40ACME%2fn&size=9":  "@acme",
		"GET /-/v1/search?size=9&text=a+scope:acme": "@acme",
		"GET /-/v1/search?text=Scope%3A%22acme%22":  "@acme",
		"GET /-/v1/search?text=scope%3A%20@acme":    "@acme",
		"GET /-/v1/search?text=%2540acme%252fn":     "@acme",
		"GET /-/v1/search?text=%25%34%30acme":       "@acme",
		"GET /-/v1/search?text=x%zz@acme":           "@acme",
	} {
		r := k.Route(request(line))
		if r.Scope != want {
			t.Errorf("%s: scope %q, want %q (class %d)", line, r.Scope, want, r.Class)
		}
		if r.Class.Cacheable() && len(r.OtherScopes) > 0 {
			t.Errorf("%s: what is stored is in one scope: %q", line, r.OtherScopes)
		}
	}
	for _, r := range []kind.Route{
		newKind(testBase).with(Policy{Deny: []string{"@acme/n"}}).Route(get("/@acme/n")),
		k.Lists(k.Route(get("/@acme/n/-/n-1.0.0.tgz")))[0],
	} {
		if r.Scope != "@acme" {
			t.Errorf("%+v: scope %q", r, r.Scope)
		}
	}
}

// A registry's URL with a segment too many makes a package of that segment.
func TestScopesBeyondThePackage(t *testing.T) {
	k := newKind(testBase)
	for line, want := range map[string][]string{
		"GET /npm/@acme%2fsecret":                   {"@acme"},
		"GET /npm/@acme/secret/-/secret-1.0.0.tgz":  {"@acme"},
		"PUT /left?of=@acme":                        {"@acme"},
		"GET /@other/left/x/@acme?write=true":       {"@acme"},
		"PUT /@acme%2fn/-rev/1-@acme":               nil,
		"GET /@acme-/n/x/y":                         nil,
		"PUT /-/package/left/dist-tags/@acme%2fnew": {"@acme"},
	} {
		if r := k.Route(request(line)); !slices.Equal(r.OtherScopes, want) {
			t.Errorf("%s: %q, want %q (%s)", line, r.OtherScopes, want, r.Endpoint)
		}
	}
}

// A body that nobody can take names out of goes nowhere when it has one.
func TestBodiesThatNameAPrivateScope(t *testing.T) {
	k := newKind(testBase)
	private := func(scope string) bool { return scope == "@acme" }
	for line, want := range map[string]bool{ // whether its body is looked at
		"POST /-/npm/v1/hooks/hook":                true,
		"PUT /-/team/other/devs/package":           true,
		"PUT /-/org/other/user":                    true,
		"POST /-/npm/v1/security/advisories/other": true,
		"POST /-/stage/x":                          true,
		"POST /-/v1/login":                         false,
		"PUT /-/user/org.couchdb.user:me":          false,
		"POST /-/npm/v1/tokens":                    false,
		"POST /-/npm/v1/user":                      false,
		"PUT /left":                                false,
		"PUT /-/package/left/dist-tags/x":          false,
		"GET /-/org/other/package":                 false,
	} {
		r := k.Route(request(line))
		if r.Strips != want {
			t.Errorf("%s (%s): looked at: %v", line, r.Endpoint, !want)
		}
		if !r.Strips {
			continue
		}
		for body, ok := range map[string]bool{
			``: true, `{"name":"left"}`: true, `{"name":"@acme/x"}`: false, `{"package":"\u0040acme/x"}`: false, `{"a":[{"b":"@acme"}]}`: false,
			`{"@acme/x":1}`: false, `{`: false, `@acme`: false,
		} {
			if got, err := k.Strip(r, []byte(body), private); (err == nil) != ok || ok && string(got) != body {
				t.Errorf("%s with %s: %q, %v", line, body, got, err)
			}
		}
	}
}

func TestEveryScopeThatIsMentioned(t *testing.T) {
	k := newKind(testBase)
	for query, want := range map[string][]string{
		"text=@babel+@acme/n":                 {"@babel", "@acme"},
		"text=@acme+@acme":                    {"@acme"},
		"text=see%20%40acme.":                 {"@acme.", "@acme"},
		"text=(@acme)":                        {"@acme)", "@acme"},
		"text=@acme!":                         {"@acme!", "@acme"},
		"text=@other%20scope:acme":            {"@other", "@acme"},
		"text=mail:me@home.example&x=%40acme": {"@home.example", "@acme"},
		"text=@+@@.x":                         nil,
		"text=%252540acme":                    {"@acme"},
	} {
		r := k.Route(request("GET /-/v1/search?" + query))
		got := r.OtherScopes
		if r.Scope != "" {
			got = append([]string{r.Scope}, got...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// A path that is sent on and mentions a scope, however it is escaped, says so.
func FuzzScope(f *testing.F) {
	for _, line := range []string{
		"GET /@acme%2fn", "PUT /%40acme/n/-rev/1", "GET /-/v1/search?text=a%2540acme", "GET /-/team/acme/x", "GET /-/x/%40%61cme?y=@b",
		"GET /-/v1/search?text=SCOPE:%22acme", "GET /n/x/@acme", "POST /-/package/@acme", "GET /@ACME/n/-/f",
	} {
		r := request(line)
		f.Add(r.Method, r.Path, r.Query)
	}
	k := newKind(testBase)
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := k.Route(kind.Request{Method: method, Path: path, Query: query})
		if r.Path == "" || r.Log != "" || r.Endpoint == "login" {
			return
		}
		for _, s := range append([]string{r.Scope}, r.OtherScopes...) {
			if s != "" && (s[0] != '@' || !label(s[1:]) || s != strings.ToLower(s)) {
				t.Fatalf("%s: scope %q", r.Path, s)
			}
		}
		if r.Group != "" {
			scope, _, scoped := strings.Cut(r.Group, "/")
			if scoped != (r.Scope != "") || scoped && r.Scope != strings.ToLower(scope) {
				t.Fatalf("%s is in scope %q", r.Group, r.Scope)
			}
			return
		}
		for plain, n := r.Path, 0; n < deepest; plain, n = unescapeSome(plain), n+1 {
			_, after, found := strings.Cut(strings.ToLower(plain), "@acme")
			if found && (after == "" || !nameByte(after[0])) && r.Scope != "@acme" && !slices.Contains(r.OtherScopes, "@acme") {
				t.Fatalf("%s mentions @acme: %q, %q", r.Path, r.Scope, r.OtherScopes)
			}
		}
	})
}
