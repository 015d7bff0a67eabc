package npm

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"pkgedge/origin/npm/packument"
)

func TestParseDeny(t *testing.T) {
	for entry, want := range map[string][2]string{
		"left-pad": {"left-pad"}, "@s/n": {"@s/n"}, "@s/*": {"@s/*"}, "n@1.2.3": {"n", "1.2.3"}, "@s/n@1.2.3-rc.1+b": {"@s/n", "1.2.3-rc.1+b"},
		"": {}, "a b": {}, "@s": {}, "*": {}, "@/*": {}, "s/*": {}, "n@": {}, "n@1": {}, "n@^1.0.0": {}, "n@latest": {}, "@s/n@1.2.3@4.5.6": {}, "n/m": {},
	} {
		name, number, err := ParseDeny(entry)
		if name != want[0] && err == nil || number != want[1] && err == nil || (err == nil) != (want[0] != "") {
			t.Errorf("%q: %q, %q, %v", entry, name, number, err)
		}
	}
}

func TestDenied(t *testing.T) {
	k := newKind(testBase).with(Policy{Deny: []string{"bad", "@evil/*", "n@1.0.0", "@s/n@2.0.0-rc.1", "Loud", "@Loud/*"}})
	for _, path := range []string{
		"/bad", "/bad/1.0.0", "/bad/latest", "/bad/-/bad-1.0.0.tgz", "/-/package/bad/dist-tags", "/b%61d", "/-/npm/v1/attestations/bad@1.0.0",
		"/@evil/x", "/@evil%2fx", "/@evil/x/-/x-1.0.0.tgz",
		"/BAD", "/Bad/1.0.0", "/bAD/-/bad-1.0.0.tgz", "/@EVIL/x", "/loud", "/@loud/x", "/LOUD", // not every master minds case
		"/N/1.0.0", "/N/-/n-1.0.0.tgz", "/n/-/N-1.0.0.tgz", "/@S/N/2.0.0-rc.1",
		"/n/1.0.0", "/n/-/n-1.0.0.tgz", "/-/npm/v1/attestations/n@1.0.0", "/@s/n/2.0.0-rc.1", "/@s%2fn/-/n-2.0.0-rc.1.tgz",
	} {
		r := k.Route(get(path))
		if r.Class != kind.Refuse || r.Reply.Status != http.StatusUnavailableForLegalReasons || !strings.Contains(r.Reply.Text, "deny list") {
			t.Errorf("%s: %+v", path, r)
		}
	}
	for _, path := range []string{"/bad2", "/@s/bad", "/@evil2/x", "/evil", "/n", "/n/1.0.1", "/n/-/n-1.0.0-x.tgz", "/n/latest", "/-/ping", "/-/whoami"} {
		if r := k.Route(get(path)); r.Class == kind.Refuse {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

// The document that a writer will put back is the registry's own. A stranger puts none back, and
// does not see by that name the releases that are hidden.
func TestWriteShowsNoStrangerDeniedVersions(t *testing.T) {
	for name, p := range map[string]Policy{"versions": {Deny: []string{"n@1.0.0"}}, "age": {MinimumAge: time.Hour}} {
		k := newKind(testBase).with(p)
		r := get("/n")
		r.Query = "write=true"
		if route := k.Route(r); route.Class != kind.Metadata {
			t.Errorf("%s: a stranger: %+v", name, route)
		}
		r.Header = http.Header{"Authorization": {"Bearer x"}}
		if route := k.Route(r); route.Class != kind.PassPrimary {
			t.Errorf("%s: a writer: %+v", name, route)
		}
		if r.Path, r.Header = "/m", nil; name == "versions" && k.Route(r).Class != kind.PassPrimary {
			t.Error("another package is affected")
		}
	}
}

// A response stored under another policy is not served under this one.
func TestPolicyIsInTheKey(t *testing.T) {
	free, one, two := newKind(testBase), newKind(testBase).with(Policy{Deny: []string{"n@1.0.0"}}), newKind(testBase).with(Policy{Deny: []string{"n@1.0.1", "n@1.0.0"}})
	same := newKind(testBase).with(Policy{Deny: []string{"n@1.0.0", "n@1.0.1"}})
	key := func(k *Kind, path string) string { return k.Route(get(path)).Key }
	for _, path := range []string{"/n", "/n/-/odd.tgz", "/n/2.0.0"} {
		if a, b, c := key(free, path), key(one, path), key(two, path); a == b || b == c || a == c {
			t.Errorf("%s: keys %q, %q and %q", path, a, b, c)
		}
		if key(two, path) != key(same, path) {
			t.Errorf("%s: the order of the list matters", path)
		}
		if key(free, "/m"+path[2:]) != key(one, "/m"+path[2:]) {
			t.Errorf("%s: another package is affected", path)
		}
	}
	for _, touched := range one.Route(request("DELETE /n/-/odd.tgz/-rev/1")).Invalidates {
		if touched.Scope == kind.OneKey && touched.Name != key(one, "/n/-/odd.tgz") {
			t.Errorf("an unpublish does not name the stored tarball: %q", touched.Name)
		}
	}
	list := one.Lists(one.Route(get("/n/-/odd.tgz")))
	if len(list) != 1 || list[0].Key != key(one, "/n") {
		t.Errorf("the list is %+v", list)
	}
}

// A stored packument is documents ready to be served: the options they depend on are
// in its key, so that another configuration does not serve them, and nothing else
// is: files are the same under any.
func TestWhatDocumentsAreMadeUnderIsInTheKey(t *testing.T) {
	kinds := map[string]*Kind{
		"plain": newKind(testBase), "another base": newKind(testBase + "/x"), "time": newKind(testBase).withTime(),
		"an age": newKind(testBase).with(Policy{MinimumAge: time.Hour}), "another age": newKind(testBase).with(Policy{MinimumAge: 2 * time.Hour}),
		"time and age": newKind(testBase).with(Policy{MinimumAge: time.Hour}).withTime(),
	}
	for _, path := range []string{"/n", "/@s/n", "/n/1.0.0", "/-/package/n/dist-tags"} {
		seen := map[string]string{}
		for name, k := range kinds {
			r := k.Route(get(path))
			if other := seen[r.Key]; other != "" {
				t.Errorf("%s: %s and %s share the key %q", path, name, other, r.Key)
			}
			seen[r.Key] = name
			if plain := kinds["plain"].Route(get(path)); r.Path != plain.Path || r.Group != plain.Group {
				t.Errorf("%s: %s: %+v", path, name, r)
			}
		}
	}
	for _, path := range []string{"/n/-/n-1.0.0.tgz", "/-/npm/v1/keys", "/-/npm/v1/attestations/n@1.0.0"} {
		for name, k := range kinds {
			if got, want := k.Route(get(path)).Key, kinds["plain"].Route(get(path)).Key; got != want {
				t.Errorf("%s: %s: key %q, not %q", path, name, got, want)
			}
		}
	}
	same := newKind(testBase + "/").withTime().with(Policy{MinimumAge: 60 * time.Minute})
	if got, want := same.Route(get("/n")).Key, kinds["time and age"].Route(get("/n")).Key; got != want {
		t.Errorf("the same settings, and keys %q and %q", got, want)
	}
}

const aged = `{"name":"n","_rev":"1-x","dist-tags":{"latest":"1.2.0","next":"2.0.0-beta.2","beta":"2.0.0-beta.1","odd":"x","new":"9.9.9"},
"time":{"created":"2024-01-01T00:00:00Z","modified":"2024-06-10T00:00:00Z",
 "1.0.0":"2024-01-01T00:00:00Z","1.1.0":"2024-02-01T00:00:00Z","1.2.0":"2024-06-09T12:00:00Z","1.10.0-rc.1":"2024-03-01T00:00:00Z",
 "2.0.0-beta.1":"2024-03-01T00:00:00Z","2.0.0-beta.2":"2024-06-09T18:00:00.000Z","9.9.9":"2024-06-09T20:00:00Z"},
"versions":{
 "1.0.0":{"dist":{"tarball":"/n-1.0.0.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
 "1.2.0":{"dist":{"tarball":"/odd.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
 "1.1.0":{"dist":{"tarball":"/n-1.1.0.tgz"}},"1.10.0-rc.1":{},"2.0.0-beta.1":{},"2.0.0-beta.2":{},"9.9.9":{}},"readme":"r"}`

func at(t *testing.T, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// The tags of a package of which nothing is left stay, for npm tells the user of "latest" the
// reason only where the tag names a version that is restricted.
func TestTagsStayWhereAllIsWithheld(t *testing.T) {
	k := newKind(testBase).with(Policy{MinimumAge: 100 * 365 * 24 * time.Hour})
	documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(aged), Now: at(t, "2024-06-10T00:00:00Z")})
	if err != nil {
		t.Fatal(err)
	}
	texts := kindtest.Contents(t, documents)
	for _, variant := range []string{packument.Full, packument.Abbreviated} {
		var doc struct {
			Tags       map[string]string `json:"dist-tags"`
			Versions   map[string]any
			Restricted struct{ Versions map[string]any } `json:"policyRestrictions"`
		}
		if err := json.Unmarshal([]byte(texts[variant]), &doc); err != nil {
			t.Fatal(err)
		}
		if latest := doc.Tags["latest"]; len(doc.Versions) != 0 || doc.Restricted.Versions[latest] == nil {
			t.Errorf("%s: latest is %q: %s", variant, latest, texts[variant])
		}
	}
}

func TestWithheldVersions(t *testing.T) {
	now := at(t, "2024-06-10T00:00:00Z")
	for _, tt := range []struct {
		name   string
		policy Policy
		hidden []string
		tags   map[string]any
		until  string
	}{
		{"nothing", Policy{Deny: []string{"m@1.0.0"}, MinimumAge: time.Minute}, nil,
			map[string]any{"latest": "1.2.0", "next": "2.0.0-beta.2", "beta": "2.0.0-beta.1", "odd": "x", "new": "9.9.9"}, ""},
		{"too young", Policy{MinimumAge: 24 * time.Hour}, []string{"1.2.0", "2.0.0-beta.2", "9.9.9"},
			map[string]any{"latest": "1.1.0", "next": "2.0.0-beta.1", "beta": "2.0.0-beta.1", "odd": "x", "new": "1.1.0"}, "2024-06-10T12:00:00Z"},
		{"denied", Policy{Deny: []string{"n@2.0.0-beta.1", "n@2.0.0-beta.2"}}, []string{"2.0.0-beta.1", "2.0.0-beta.2"},
			map[string]any{"latest": "1.2.0", "next": "1.10.0-rc.1", "beta": "1.10.0-rc.1", "odd": "x", "new": "9.9.9"}, ""},
		{"all but prereleases", Policy{Deny: []string{"n@1.0.0", "n@1.1.0", "n@1.2.0", "n@9.9.9", "n@2.0.0-beta.2"}},
			[]string{"1.0.0", "1.1.0", "1.2.0", "9.9.9", "2.0.0-beta.2"},
			map[string]any{"latest": "2.0.0-beta.1", "next": "2.0.0-beta.1", "beta": "2.0.0-beta.1", "odd": "x"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKind(testBase).with(tt.policy)
			documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(aged), Now: now})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range documents[:2] {
				if got := d.Until; !got.IsZero() != (tt.until != "") || tt.until != "" && !got.Equal(at(t, tt.until)) {
					t.Errorf("%s: until %s; want %s", d.Variant, got, tt.until)
				}
			}
			texts := kindtest.Contents(t, documents)
			for _, variant := range []string{packument.Full, packument.Abbreviated} {
				var doc map[string]any
				if err := json.Unmarshal([]byte(texts[variant]), &doc); err != nil {
					t.Fatalf("%s: %v\n%s", variant, err, texts[variant])
				}
				told, _ := doc["policyRestrictions"].(map[string]any)
				delete(doc, "policyRestrictions")
				rest, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range tt.hidden { // npm is told of each, with the reason
					if restricted := told["versions"].(map[string]any); restricted[v] == nil || len(restricted) != len(tt.hidden) || !strings.Contains(told["message"].(string), "n@"+v+" is ") {
						t.Errorf("%s: npm is told %v; want %s", variant, told, v)
					}
				}
				versions := doc["versions"].(map[string]any)
				if len(versions) != 7-len(tt.hidden) {
					t.Errorf("%s: versions %q", variant, slices.Sorted(maps.Keys(versions)))
				}
				for _, v := range tt.hidden {
					if strings.Contains(string(rest), `"`+v+`"`) {
						t.Errorf("%s: %s is in %s", variant, v, texts[variant])
					}
				}
				if !reflect.DeepEqual(doc["dist-tags"], tt.tags) {
					t.Errorf("%s: dist-tags %v; want %v", variant, doc["dist-tags"], tt.tags)
				}
			}
			summary := []byte(texts[kind.Summary])
			for _, v := range tt.hidden {
				if _, _, ok := kind.FindSubdocument(summary, "at/"+v); ok {
					t.Errorf("%s can be asked for by itself", v)
				}
			}
			d, ok := k.Digest(k.Route(get("/n/-/odd.tgz")), summary)
			if withheld := slices.Contains(tt.hidden, "1.2.0"); !ok || (d.Withheld != "") != withheld {
				t.Errorf("the tarball of 1.2.0: %+v, %v", d, ok)
			}
			if d, ok := k.Digest(k.Route(get("/n/-/unknown.tgz")), summary); (ok && d.Withheld != "") != (tt.policy.MinimumAge > 0) {
				t.Errorf("an unknown tarball: %+v, %v", d, ok)
			}
			if d, _ := k.Digest(k.Route(get("/n/-/n-1.1.0.tgz")), summary); d.Withheld != "" && !slices.Contains(tt.hidden, "1.1.0") {
				t.Errorf("a tarball without a digest: %+v", d)
			}
			// A version that is withheld now is not lost later, nor the other way round.
			for _, later := range []time.Duration{0, 48 * time.Hour} {
				if _, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(aged), Summary: summary, Now: now.Add(later)}); err != nil {
					t.Errorf("%s later: %v", later, err)
				}
			}
		})
	}
}

// An exempt package, scope or version may be of any age, and the date is told at which
// another one may be had.
func TestExemptFromTheMinimumAge(t *testing.T) {
	now := time.Date(2024, 6, 10, 12, 0, 30, 0, time.UTC)
	k := newKind(testBase).with(Policy{MinimumAge: 72 * time.Hour, Exempt: []string{"@acme/*", "own", "n@1.0.1"}})
	for name, want := range map[string]map[string]bool{
		"@acme/x": {"1.0.0": true, "1.0.1": true}, "own": {"1.0.0": true, "1.0.1": true}, "n": {"1.0.1": true}, "@acme2/x": {},
	} {
		body := `{"name":"` + name + `","versions":{"1.0.0":{},"1.0.1":{}},"time":{"1.0.0":"2024-06-10T12:00:00Z","1.0.1":"2024-06-10T12:00:00Z"}}`
		documents, err := k.Prepare(k.Route(get("/"+name)), kind.Source{Body: []byte(body), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Versions           map[string]any
			PolicyRestrictions struct{ Message string }
		}
		if err := json.Unmarshal([]byte(kindtest.Contents(t, documents)[packument.Full]), &doc); err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"1.0.0", "1.0.1"} {
			why := name + "@" + v + " is withheld by this edge until 2024-06-13 12:00 UTC: it was published less than 3 days ago, on 2024-06-10 12:00 UTC"
			if doc.Versions[v] != nil != want[v] || strings.Contains(doc.PolicyRestrictions.Message, why) == want[v] {
				t.Errorf("%s@%s: %+v", name, v, doc)
			}
		}
	}
	route := func(exempt ...string) string {
		return newKind(testBase).with(Policy{MinimumAge: time.Hour, Exempt: exempt}).Route(get("/n")).Key
	}
	if route("a") == route("b") || route() == route("a") || route("a", "b") != route("b", "a") {
		t.Error("a document stored under other exemptions is served, or one under the same is not")
	}
}
