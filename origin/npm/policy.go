package npm

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// Policy is what a site does not serve although its registry has it.
type Policy struct {
	// Deny lists packages "name" or "@scope/name", scopes "@scope/*", and
	// versions "name@1.2.3". See [ParseDeny].
	Deny []string

	// MinimumAge is how long ago a version must have been published, by the
	// packument's own "time". A version without a date there is old.
	MinimumAge time.Duration
}

// With returns the same registry under a policy. Entries that ParseDeny refuses
// deny nothing.
func (k *Kind) With(p Policy) *Kind {
	if len(p.Deny) == 0 && p.MinimumAge <= 0 {
		return k
	}
	own := &policy{names: map[string]bool{}, scopes: map[string]bool{}, versions: map[string][]string{}, age: p.MinimumAge}
	for _, entry := range p.Deny {
		switch n, number, err := ParseDeny(entry); {
		case err != nil:
		case number != "":
			own.versions[n] = append(own.versions[n], number)
		case strings.HasSuffix(n, "/*"):
			own.scopes[strings.TrimSuffix(n, "/*")] = true
		default:
			own.names[n] = true
		}
	}
	for n := range own.versions {
		slices.Sort(own.versions[n])
	}
	under := *k
	under.policy = own
	under.setMark()
	return &under
}

var errDeny = errors.New(`write a package "name" or "@scope/name", a scope "@scope/*", or a version "name@1.2.3"`)

// ParseDeny reads an entry of a deny list. The number is "" for a whole package
// or scope.
func ParseDeny(entry string) (name, number string, err error) {
	if scope, ok := strings.CutSuffix(entry, "/*"); ok {
		if len(scope) < 2 || scope[0] != '@' || !label(scope[1:]) {
			return "", "", errDeny
		}
		return entry, "", nil
	}
	name = entry
	if i := strings.LastIndexByte(entry, '@'); i > 0 {
		name, number = entry[:i], entry[i+1:]
		if _, ok := parseSemver(number); !ok {
			return "", "", errDeny
		}
	}
	if _, ok := parseName(name); !ok || name == "*" {
		return "", "", errDeny
	}
	return name, number, nil
}

// policy is a Policy made ready. A nil one withholds nothing.
type policy struct {
	names, scopes map[string]bool
	versions      map[string][]string // sorted
	age           time.Duration
}

func (p *policy) minimumAge() time.Duration {
	if p == nil {
		return 0
	}
	return p.age
}

// apply refuses a route that is denied, and gives one whose response depends on
// the policy a key of its own, so that what another policy stored is not served.
func (p *policy) apply(r *kind.Route) {
	if p == nil || r.Class < kind.PassPrimary {
		return
	}
	if r.What == "search" && len(p.names)+len(p.scopes) > 0 {
		r.Filter = func(body []byte) ([]byte, error) { return FilterSearch(body, p.denies) }
	}
	if r.Group == "" {
		return
	}
	if p.denies(r.Group) {
		*r = withheld(*r, r.Group+" is on the deny list of this edge")
		return
	}
	slash := strings.IndexByte(r.Group, '/') + 1
	scope, base := r.Group[:slash], r.Group[slash:]
	denied := p.versions[r.Group]
	for _, number := range denied {
		if r.Excerpt == "at/"+number || r.What == attestations && strings.HasSuffix(r.Key, "@"+number) ||
			r.What == tarball && strings.TrimPrefix(fileOf(*r), scope) == base+"-"+number+".tgz" {
			*r = withheld(*r, deniedVersion(r.Group, number))
			return
		}
	}
	if len(denied) == 0 || r.What == attestations {
		return
	}
	sum := sha256.Sum256([]byte(strings.Join(denied, " ")))
	mark := keyMark + hex.EncodeToString(sum[:8])
	if r.Class.Cacheable() {
		r.Key += mark
	}
	for i := range r.Touches {
		if t := &r.Touches[i]; t.Scope == kind.OneKey {
			t.Name += mark
		}
	}
}

// denies reports whether a whole package is denied.
func (p *policy) denies(name string) bool {
	if p == nil {
		return false
	}
	scope, _, scoped := strings.Cut(name, "/")
	return p.names[name] || scoped && p.scopes[scope]
}

func deniedVersion(name, number string) string {
	return name + "@" + number + " is on the deny list of this edge"
}

func withheld(r kind.Route, why string) kind.Route {
	return kind.Route{
		Class: kind.Refuse, What: r.What, Group: r.Group, Scope: r.Scope,
		Status: http.StatusUnavailableForLegalReasons, ContentType: typeJSON, Reason: why,
	}
}

// version of a packument that a policy looks at.
type release struct {
	number    string
	published time.Time // zero when it is not known
	semver    semver
	valid     bool   // number is a semver
	why       string // it is withheld; "" when it is not
}

// withhold takes what the policy withholds out of a packument: versions, their
// times, and tags, which move back to the newest version that is left. It notes
// in the memo what it took. The body itself is returned when nothing is withheld;
// until is when the next version comes of age.
func (p *policy) withhold(name string, from kind.Source, memo *kind.MemoWriter) (body []byte, until time.Time, err error) {
	body = from.Body
	if p == nil || p.age <= 0 && len(p.versions[name]) == 0 {
		return body, until, nil
	}
	c, err := readCut(body)
	if err != nil {
		return nil, until, err
	}
	var releases []release
	hidden := map[string]bool{}
	for _, m := range c.versions() {
		r := release{number: m.name, published: c.times[m.name]}
		r.semver, r.valid = parseSemver(r.number)
		of := r.published.Add(p.age)
		switch {
		case slices.Contains(p.versions[name], r.number):
			r.why = deniedVersion(name, r.number)
		case p.age > 0 && !r.published.IsZero() && of.After(from.Now):
			r.why = fmt.Sprintf("%s@%s is withheld by this edge: it was published less than %s ago", name, r.number, p.age)
			if until.IsZero() || of.Before(until) {
				until = of
			}
		}
		if r.why != "" {
			hidden[r.number] = true
			memo.Add("withheld version", []byte(r.number), []byte(r.why))
			for _, file := range tarballsOf(name, m.value(body)) {
				memo.Add("withheld", file, []byte(r.why))
			}
		}
		releases = append(releases, r)
	}
	if len(hidden) == 0 {
		return body, until, nil
	}
	return c.without(hidden, func(tag, number string) string { return moved(releases, tag, number) }), until, nil
}

// moved is the version that a tag names when the one it named is withheld: the
// newest of those below it that are prereleases if it is one, and none if it is
// none; for "latest", failing that, the newest of any. "" means that the tag goes.
func moved(releases []release, tag, number string) string {
	was, ok := parseSemver(number)
	best := ""
	var top semver
	for _, strict := range []bool{true, false} {
		for _, r := range releases {
			if r.why != "" || !r.valid {
				continue
			}
			if strict && (!ok || r.semver.compare(was) > 0 || (r.semver.pre == "") != (was.pre == "")) {
				continue
			}
			if best == "" || r.semver.compare(top) > 0 {
				best, top = r.number, r.semver
			}
		}
		if best != "" || tag != "latest" {
			return best
		}
	}
	return best
}

// tarballsOf are the names that the tarball in a manifest of a package may be asked
// for by.
func tarballsOf(name string, manifest []byte) [][]byte {
	w := newRewriter("", name, manifest)
	if w.object() != nil {
		return nil
	}
	for {
		key, _, ok, err := w.next()
		if err != nil || !ok {
			file := bytes.TrimPrefix(w.file, []byte(w.scope))
			switch {
			case len(file) == 0:
				return nil
			case w.scope == "":
				return [][]byte{file}
			}
			return [][]byte{file, append([]byte(w.scope), file...)}
		}
		if string(key) == "dist" {
			_, err = w.dist()
		} else {
			_, err = w.value()
		}
		if err != nil {
			return nil
		}
	}
}

// semver is a version number (Semantic Versioning 2.0.0), its build left out.
type semver struct {
	major, minor, patch uint64
	pre                 string
}

// parseSemver reads a version number.
func parseSemver(s string) (v semver, ok bool) {
	s, _, _ = strings.Cut(s, "+")
	core, pre, isPre := strings.Cut(s, "-")
	v.pre = pre
	parts := strings.Split(core, ".")
	if len(parts) != 3 || isPre && pre == "" || !fileName(s) || strings.ContainsAny(s, " @") {
		return v, false
	}
	for i, to := range []*uint64{&v.major, &v.minor, &v.patch} {
		if *to, ok = parseNumber(parts[i]); !ok {
			return v, false
		}
	}
	return v, true
}

func parseNumber(s string) (n uint64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// compare orders two versions (section 11).
func (v semver) compare(w semver) int {
	if c := cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch)); c != 0 {
		return c
	}
	if v.pre == "" || w.pre == "" { // a prerelease comes before its release
		return cmp.Compare(boolInt(v.pre == ""), boolInt(w.pre == ""))
	}
	return slices.CompareFunc(strings.Split(v.pre, "."), strings.Split(w.pre, "."), func(a, b string) int {
		n, ok1 := parseNumber(a)
		m, ok2 := parseNumber(b)
		switch {
		case ok1 && ok2:
			return cmp.Compare(n, m)
		case ok1 != ok2: // numbers come first
			return cmp.Compare(boolInt(ok2), boolInt(ok1))
		}
		return strings.Compare(a, b)
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
