package sample

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"pkgedge/origin/sample/ordered"
)

// home stands for the base URL of whichever master answers. Stored documents
// hold it, and a master puts its own base in its place, in readmes as well:
// there it makes a tarball URL that no edge has any business changing.
const home = "http://this-master.invalid"

// packument is one package. It is immutable once it is in a store: a write
// replaces it with an edited clone.
type packument struct {
	name     string
	rev      int
	tags     map[string]string
	versions []version // in order of publication
	created  time.Time
	modified time.Time
	extra    map[string]json.RawMessage // readme, description, maintainers, users, …

	full        []byte // set by seal
	abbreviated []byte
}

// version is one version of a package.
type version struct {
	number    string
	published time.Time
	file      string                     // the basename of its tarball
	manifest  map[string]json.RawMessage // dist.tarball is below home
}

func (p *packument) clone() *packument {
	c := *p
	c.tags = maps.Clone(p.tags)
	c.versions = slices.Clone(p.versions)
	c.extra = maps.Clone(p.extra)
	return &c
}

// revision is the _rev of CouchDB: a counter and a hash.
func (p *packument) revision() string {
	return fmt.Sprintf("%d-%x", p.rev, md5.Sum(fmt.Appendf(nil, "%s %d", p.name, p.rev)))
}

func (p *packument) version(number string) (version, bool) {
	i := slices.IndexFunc(p.versions, func(v version) bool { return v.number == number })
	if i < 0 {
		return version{}, false
	}
	return p.versions[i], true
}

// resolve finds the version that a number or a tag names.
func (p *packument) resolve(wanted string) (version, bool) {
	if number, ok := p.tags[wanted]; ok {
		wanted = number
	}
	return p.version(wanted)
}

// seal makes p ready for a store: it counts the revision and renders both
// forms.
func (p *packument) seal(now time.Time) error {
	p.rev++
	p.modified = now
	full, abbreviated := new(ordered.Object), new(ordered.Object)
	times := new(ordered.Object)
	times.Field("created", stamp(p.created))
	times.Field("modified", stamp(p.modified))
	long, short := new(ordered.Object), new(ordered.Object)
	for _, v := range p.versions {
		long.Field(v.number, v.manifest)
		short.Field(v.number, abbreviate(v.manifest))
		times.Field(v.number, stamp(v.published))
	}

	full.Field("_id", p.name)
	full.Field("_rev", p.revision())
	full.Field("name", p.name)
	full.Field("dist-tags", p.tags)
	full.Nest("versions", long)
	full.Nest("time", times)
	for _, key := range slices.Sorted(maps.Keys(p.extra)) {
		full.Field(key, p.extra[key])
	}

	abbreviated.Field("name", p.name)
	abbreviated.Field("modified", stamp(p.modified))
	abbreviated.Field("dist-tags", p.tags)
	abbreviated.Nest("versions", short)

	var err1, err2 error
	p.full, err1 = full.Bytes()
	p.abbreviated, err2 = abbreviated.Bytes()
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("cannot render packument for %q: %w", p.name, err)
	}
	return nil
}

// kept are the fields of a version that its abbreviated form has.
var kept = []string{
	"name", "version", "dependencies", "acceptDependencies", "optionalDependencies",
	"devDependencies", "bundleDependencies", "bundledDependencies", "peerDependencies",
	"peerDependenciesMeta", "bin", "directories", "dist", "engines", "_hasShrinkwrap",
	"funding", "cpu", "os",
}

// abbreviate keeps the members of a manifest that an installation needs. Like the public
// registry, it marks install scripts, which the full form does not.
func abbreviate(manifest map[string]json.RawMessage) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(kept))
	for _, key := range kept {
		if raw, ok := manifest[key]; ok {
			out[key] = raw
		}
	}
	var why string
	if json.Unmarshal(manifest["deprecated"], &why) == nil && why != "" {
		out["deprecated"] = manifest["deprecated"]
	}
	var scripts map[string]json.RawMessage
	if json.Unmarshal(manifest["scripts"], &scripts) == nil {
		for _, name := range []string{"preinstall", "install", "postinstall"} {
			if _, ok := scripts[name]; ok {
				out["hasInstallScript"] = json.RawMessage("true")
			}
		}
	}
	return out
}

// readVersion reads one member of a packument's "versions" and puts its tarball
// below home, wherever it was.
func readVersion(name, number string, raw json.RawMessage) (version, error) {
	v := version{number: number}
	if err := json.Unmarshal(raw, &v.manifest); err != nil {
		return v, fmt.Errorf("cannot read %s@%s: %w", name, number, err)
	}
	var dist map[string]json.RawMessage
	var tarball string
	if err := json.Unmarshal(v.manifest["dist"], &dist); err != nil {
		return v, fmt.Errorf("cannot read dist of %s@%s: %w", name, number, err)
	}
	if err := json.Unmarshal(dist["tarball"], &tarball); err != nil {
		return v, fmt.Errorf("cannot read dist.tarball of %s@%s: %w", name, number, err)
	}
	v.file = path.Base(tarball)
	if v.file == "." || v.file == ".." || v.file == "/" {
		return v, fmt.Errorf("cannot use dist.tarball %q of %s@%s: %w", tarball, name, number, ErrInvalid)
	}
	return v, v.setDist(name, dist)
}

// setDist gives v its dist, with the tarball below home.
func (v *version) setDist(name string, dist map[string]json.RawMessage) error {
	var err error
	if dist["tarball"], err = ordered.Encode(home + tarballPath(name, v.file)); err != nil {
		return err
	}
	v.manifest["dist"], err = ordered.Encode(dist)
	return err
}

func tarballPath(name, file string) string { return "/" + name + "/-/" + file }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
