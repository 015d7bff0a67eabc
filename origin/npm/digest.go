package npm

import (
	"strings"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// Lists returns the packument route of a tarball, whose summary has the digest of
// the tarball.
func (k *Kind) Lists(file kind.Route) []kind.Route {
	if file.Class != kind.File || file.Endpoint != endpointTarball {
		return nil
	}
	n, ok := parseName(file.Group)
	if !ok {
		return nil
	}
	list := k.packumentRoute(n, kind.Summary)
	k.policy.apply(&list)
	return []kind.Route{list}
}

// Digest finds a tarball in the summary of its packument. It is the strongest the
// packument has: sha512, sha384, sha256 or sha1. There is none for a file that
// the packument lists without one, or twice with different ones. A tarball that the site's policy withholds says so, and so does one that
// is not listed where a release must have an age.
func (k *Kind) Digest(file kind.Route, summary []byte) (kind.Digest, bool) {
	name := fileOf(file)
	if name == "" {
		return kind.Digest{}, false
	}
	f, ok := packument.Find(summary, file.Group, name)
	switch {
	case !ok:
	case f.Withheld != "":
		return kind.Digest{Withheld: f.Withheld}, true
	case !f.Listed && k.policy.aged(file.Group):
		return kind.Digest{Withheld: "no release that has this file is known"}, true
	case f.Listed:
		switch {
		case f.Place != nil:
			f.Digest.At = string(f.Place)
		case f.Name != name: // another name of a file in the usual place
			f.Digest.At = string(f.Base) + "/" + file.Group + "/-/" + escape(f.Name)
		case f.Base != nil:
			f.Digest.At = string(f.Base) + file.Path
		}
		return f.Digest, true
	}
	return kind.Digest{}, false
}

// fileOf is the name of a tarball as summaries have it, "" for another route.
func fileOf(file kind.Route) string {
	name, ok := strings.CutPrefix(file.Key, "tarball/"+file.Group+"/")
	if !ok || file.Endpoint != endpointTarball {
		return ""
	}
	name, _, _ = strings.Cut(name, suffixByte)
	if before, after, found := cutEscapedSlash(name); found {
		return before + "/" + after
	}
	return name
}
