package packument

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// Withheld says why a version must not be served, "" when it may, and when that
// ends by itself, zero for never. The time is that of the publication, zero when
// the packument does not say it.
type Withheld func(number string, published time.Time) (why string, until time.Time)

// release is a version of a packument that may be withheld.
type release struct {
	number string
	semver semver
	valid  bool   // number is a semver
	why    string // it is withheld; "" when it is not
}

// withhold takes versions out of a packument, with their times, and with the tags
// that name them: those move back to the newest version that is left, and stay where none
// is, since npm and Yarn tell the user of a tag why its version is missing. The summary
// gets a line for each version, tag and tarball taken, and the packument a member by
// which npm tells its user why. The body itself is returned when
// nothing is withheld. until is when the next version is withheld no longer.
func withhold(name string, body []byte, withheld Withheld, summary *kind.SummaryWriter) (left []byte, until time.Time, err error) {
	c, err := readCut(body)
	if err != nil {
		return nil, until, err
	}
	var releases []release
	hidden := map[string]bool{}
	for _, m := range c.versions() {
		r := release{number: m.name}
		r.semver, r.valid = parseSemver(r.number)
		var end time.Time
		r.why, end = withheld(r.number, c.times[m.name])
		if !end.IsZero() && (until.IsZero() || end.Before(until)) {
			until = end
		}
		if r.why != "" {
			hidden[r.number] = true
			summary.Add("withheld version", []byte(r.number), []byte(r.why))
			summary.Add("withheld at", []byte(r.number), []byte(r.why))
			for _, file := range tarballsOf(name, m.name, m.value(body)) {
				summary.Add("withheld", file, []byte(r.why))
			}
		}
		releases = append(releases, r)
	}
	if len(hidden) == 0 {
		return body, until, nil
	}
	left = c.without(hidden, func(tag, number string) string {
		to := moved(releases, tag, number)
		if i := slices.IndexFunc(releases, func(r release) bool { return r.number == number }); to == "" && i >= 0 {
			summary.Add("withheld at", []byte(tag), []byte(releases[i].why))
			if len(hidden) == len(releases) {
				return number
			}
		}
		return to
	})
	return restricted(left, releases), until, nil
}

// maxReasons is how many versions a person is told about.
const maxReasons = 8

// restricted adds the member "policyRestrictions", which npm knows: it lists versions
// that a registry has and does not give. The user that asks for one of them gets the message,
// which tells of the newest ones first.
func restricted(left []byte, releases []release) []byte {
	var reasons []string
	versions := []byte("{")
	for _, r := range slices.Backward(releases) {
		if r.why == "" {
			continue
		}
		if len(versions) > 1 {
			versions = append(versions, ',')
		}
		number := QuoteInner(r.number)
		versions = append(versions, `"`+number+`":{"version":"`+number+`"}`...)
		reasons = append(reasons, r.why)
	}
	if n := len(reasons) - maxReasons; n > 0 {
		reasons = append(reasons[:maxReasons], fmt.Sprintf("and %d more", n))
	}
	member := `{"policyRestrictions":{"message":"` + QuoteInner(strings.Join(reasons, "\n")) + `","versions":` + string(versions) + "}}"
	begin := bytes.IndexByte(left, '{') + 1
	rest := bytes.TrimLeft(left[begin:], " \t\r\n")
	if !bytes.HasPrefix(rest, []byte("}")) {
		member += ","
	}
	return append([]byte(member), rest...)
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

// tarballsOf are the names that the tarball of a version may be asked for by.
func tarballsOf(name string, number string, manifest []byte) [][]byte {
	w := newRewriter("", name, kind.Source{Body: manifest})
	err := w.Each(func(key []byte) (err error) {
		if string(key) == "dist" {
			_, err = w.dist([]byte(number))
		} else {
			_, err = w.Value()
		}
		return err
	})
	names := w.tarball.names()
	if err != nil || len(names) == 0 {
		return nil
	}
	// Further ones that some rule gives it, in this packument or in that of another master.
	for _, further := range [][]byte{usualName(name[len(w.scope):], []byte(number)), bytes.TrimPrefix(names[0], []byte(w.scope))} {
		w.tarball.add(further)
		if w.scope != "" {
			w.tarball.add(append([]byte(w.scope), further...))
		}
	}
	return w.tarball.names()
}
