package npm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// Policy lists packages that a site withholds although its registry has them.
type Policy struct {
	// Deny lists packages "name" or "@scope/name", scopes "@scope/*", and
	// versions "name@1.2.3". See [ParseDeny].
	Deny []string

	// MinimumAge is how long ago a version must have been published, by the
	// packument's own "time". A version without a date there is old.
	MinimumAge time.Duration

	// Exempt lists packages, scopes and versions that may be younger, as Deny does.
	Exempt []string
}

// with returns the same registry under a policy. Entries that ParseDeny refuses
// deny nothing.
func (k *Kind) with(p Policy) *Kind {
	if len(p.Deny) == 0 && p.MinimumAge <= 0 {
		return k
	}
	own := &policy{selection: selectionOf(folded(p.Deny)), age: p.MinimumAge}
	if p.MinimumAge > 0 {
		own.exempt, own.exemptions = selectionOf(p.Exempt), strings.Join(slices.Compact(slices.Sorted(slices.Values(p.Exempt))), " ")
	}
	under := *k
	under.policy = own
	under.setSuffix()
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
		if !packument.IsVersion(number) {
			return "", "", errDeny
		}
	}
	if _, ok := parseName(name); !ok || name == "*" {
		return "", "", errDeny
	}
	return name, number, nil
}

// checkExempt returns an error for a bad exemption from the minimum age.
func checkExempt(entry string) error {
	if _, _, err := ParseDeny(entry); err != nil {
		return fmt.Errorf("%q exempts nothing: %w", entry, err)
	}
	return nil
}

// checkDeny returns an error for a bad entry of a deny list.
func checkDeny(entry string) error {
	if _, _, err := ParseDeny(entry); err != nil {
		return fmt.Errorf("%q names nothing to deny: %w", entry, err)
	}
	return nil
}

// policy is a Policy made ready. A nil one withholds nothing.
type policy struct {
	selection  // that is denied
	age        time.Duration
	exempt     selection // from the age
	exemptions string    // the same in words, sorted
}

// folded are the entries of a deny list in lower case. A master that does not mind case
// would give a denied package under another spelling of its name.
func folded(entries []string) []string {
	lower := make([]string, len(entries))
	for i, entry := range entries {
		name, number, _ := ParseDeny(entry)
		if lower[i] = strings.ToLower(name); number != "" {
			lower[i] += "@" + number
		}
	}
	return lower
}

// hides reports whether releases of a package may be left out of its documents.
func (p *policy) hides(name string) bool {
	return p != nil && (p.aged(name) || len(p.denied(name)) > 0)
}

// denied are the versions of a package that are denied.
func (p *policy) denied(name string) []string { return p.versions[strings.ToLower(name)] }

// selection is the packages, scopes and versions of a list.
type selection struct {
	names, scopes map[string]bool
	versions      map[string][]string // sorted
}

func selectionOf(entries []string) selection {
	s := selection{names: map[string]bool{}, scopes: map[string]bool{}, versions: map[string][]string{}}
	for _, entry := range entries {
		switch n, number, err := ParseDeny(entry); {
		case err != nil:
		case number != "":
			s.versions[n] = append(s.versions[n], number)
		case strings.HasSuffix(n, "/*"):
			s.scopes[strings.TrimSuffix(n, "/*")] = true
		default:
			s.names[n] = true
		}
	}
	for n := range s.versions {
		slices.Sort(s.versions[n])
	}
	return s
}

// whole says whether all of a package is selected.
func (s selection) whole(name string) bool {
	scope, _, scoped := strings.Cut(name, "/")
	return s.names[name] || scoped && s.scopes[scope]
}

func (p *policy) minimumAge() time.Duration {
	if p == nil {
		return 0
	}
	return p.age
}

// apply refuses a route that is denied, and gives one whose response depends on
// the policy a key of its own: a response stored under another policy is not served.
func (p *policy) apply(r *kind.Route) {
	if p == nil || r.Class < kind.PassPrimary {
		return
	}
	if r.Endpoint == "search" && len(p.names)+len(p.scopes) > 0 {
		r.Filters = true
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
	denied := p.denied(r.Group)
	for _, number := range denied {
		if r.Subdocument.Name == packument.SubdocumentOf(number) || r.Endpoint == endpointAttestations && strings.HasSuffix(r.Key, "@"+number) ||
			r.Endpoint == endpointTarball && strings.EqualFold(strings.TrimPrefix(fileOf(*r), scope), base+"-"+number+".tgz") {
			*r = withheld(*r, deniedVersion(r.Group, number))
			return
		}
	}
	if len(denied) == 0 || r.Endpoint == endpointAttestations {
		return
	}
	sum := sha256.Sum256([]byte("2 " + strings.Join(denied, " "))) // 2: with reasons
	suffix := suffixByte + hex.EncodeToString(sum[:8])
	if r.Class.Cacheable() {
		r.Key += suffix
	}
	for i := range r.Invalidates {
		if t := &r.Invalidates[i]; t.Scope == kind.OneKey {
			t.Name += suffix
		}
	}
}

// withheld is the rule for the versions of a package at a time, nil when all are
// served.
func (p *policy) withheld(name string, now time.Time) packument.Withheld {
	if p == nil || p.age <= 0 && len(p.denied(name)) == 0 {
		return nil
	}
	exempt := p.exempt.whole(name)
	return func(number string, published time.Time) (why string, until time.Time) {
		if slices.Contains(p.denied(name), number) {
			return deniedVersion(name, number), until
		}
		if exempt || slices.Contains(p.exempt.versions[name], number) {
			return "", until
		}
		if of := published.Add(p.age); p.age > 0 && !published.IsZero() && of.After(now) {
			return fmt.Sprintf("%s@%s is withheld by this edge until %s: it was published less than %s ago, on %s",
				name, number, inUTC(of), inDays(p.age), inUTC(published)), of
		}
		return "", until
	}
}

// denies reports whether a whole package is denied.
func (p *policy) denies(name string) bool {
	return p != nil && p.whole(strings.ToLower(name))
}

// aged says whether releases of a package must have an age.
func (p *policy) aged(name string) bool { return p.minimumAge() > 0 && !p.exempt.whole(name) }

// inUTC is a time as a person reads it, to the minute above.
func inUTC(t time.Time) string {
	return t.UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute).Format("2006-01-02 15:04 UTC")
}

// inDays is a duration with its whole days.
func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

func deniedVersion(name, number string) string {
	return name + "@" + number + " is on the deny list of this edge"
}

func withheld(r kind.Route, why string) kind.Route {
	return kind.Route{
		Class: kind.Refuse, Endpoint: r.Endpoint, Group: r.Group, Scope: r.Scope,
		Reply: kind.Reply{Status: http.StatusUnavailableForLegalReasons, ContentType: packument.TypeJSON, Text: why},
	}
}
