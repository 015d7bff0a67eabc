package sample

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"pkgedge/origin/sample/ordered"
	"pkgedge/origin/sample/tarball"
)

// submission is a package document that a client sent.
type submission struct {
	name        string
	rev         string
	tags        map[string]string
	versions    []ordered.Member
	listed      bool // it has "versions" at all
	times       map[string]time.Time
	extra       map[string]json.RawMessage
	attachments map[string]attachment // by basename
}

// attachment is a file inside a document, in the form CouchDB gave it.
type attachment struct {
	Data   []byte `json:"data"` // base64 on the wire
	Length int64  `json:"length"`
}

// readSubmission reads a package document. Its errors are [ErrInvalid].
func readSubmission(body []byte) (*submission, error) {
	sub := &submission{
		tags: map[string]string{}, extra: map[string]json.RawMessage{},
		times: map[string]time.Time{}, attachments: map[string]attachment{},
	}
	fields, err := ordered.Members(body)
	if err != nil {
		return nil, fmt.Errorf("cannot read document: %w: %w", ErrInvalid, err)
	}
	var id string
	for _, f := range fields {
		if err := sub.take(f, &id); err != nil {
			return nil, fmt.Errorf("cannot read %q: %w: %w", f.Key, ErrInvalid, err)
		}
	}
	if sub.name == "" {
		sub.name = id // a star names nothing else
	}
	if !goodName.MatchString(sub.name) {
		return nil, fmt.Errorf("cannot use name %q: %w", sub.name, ErrInvalid)
	}
	return sub, nil
}

// take reads one field of the document.
func (sub *submission) take(f ordered.Member, id *string) (err error) {
	switch f.Key {
	case "_id":
		return json.Unmarshal(f.Raw, id)
	case "name":
		return json.Unmarshal(f.Raw, &sub.name)
	case "_rev":
		return json.Unmarshal(f.Raw, &sub.rev)
	case "dist-tags":
		return json.Unmarshal(f.Raw, &sub.tags)
	case "versions":
		sub.listed = true
		sub.versions, err = ordered.Members(f.Raw)
		return err
	case "time":
		return json.Unmarshal(f.Raw, &sub.times)
	case "_attachments":
		var named map[string]attachment
		if err := json.Unmarshal(f.Raw, &named); err != nil {
			return err
		}
		for name, a := range named {
			sub.attachments[path.Base(name)] = a
		}
	case "access":
	default:
		sub.extra[f.Key] = f.Raw
	}
	return nil
}

// time is the entry of the document's "time", or other where it has none.
func (sub *submission) time(key string, other time.Time) time.Time {
	if t, ok := sub.times[key]; ok {
		return t
	}
	return other
}

// submit carries out PUT of a package document: with attachments it publishes,
// without them it edits the versions that the document names (deprecate, star).
func (s *Store) submit(sub *submission) error {
	return s.write(func(next *content) error {
		now := time.Now()
		old := next.packages[sub.name]
		if len(sub.attachments) > 0 {
			p := &packument{name: sub.name, tags: map[string]string{}, extra: map[string]json.RawMessage{}, created: now}
			if old != nil {
				p = old.clone()
			}
			if err := sub.publish(p, next.files, now); err != nil {
				return err
			}
			next.packages[p.name] = p
			return p.seal(now)
		}
		if old == nil {
			return ErrNotFound
		}
		if sub.rev != "" && sub.rev != old.revision() {
			return ErrConflict
		}
		p := old.clone()
		if err := sub.edit(p); err != nil {
			return err
		}
		next.packages[p.name] = p
		return p.seal(now)
	})
}

// publish adds the versions whose tarballs are attached.
func (sub *submission) publish(p *packument, files map[string]*file, now time.Time) error {
	added := 0
	for _, m := range sub.versions {
		v, err := readVersion(p.name, m.Key, m.Raw)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		a, attached := sub.attachments[v.file]
		if !attached {
			continue // one of the versions before, sent along
		}
		if _, ok := p.version(m.Key); ok {
			return fmt.Errorf("cannot publish over %s@%s: %w", p.name, m.Key, ErrExists)
		}
		where := tarballPath(p.name, v.file)
		if _, ok := files[where]; ok {
			return fmt.Errorf("cannot publish over %s: %w", where, ErrExists)
		}
		if err := v.verify(a); err != nil {
			return fmt.Errorf("cannot take %s: %w: %w", where, ErrInvalid, err)
		}
		v.published = now
		p.versions = append(p.versions, v)
		files[where] = tarballFile(a.Data, now)
		added++
	}
	if added == 0 {
		return fmt.Errorf("no version has an attachment: %w", ErrInvalid)
	}
	maps.Copy(p.extra, sub.extra)
	return p.tag(sub.tags)
}

// verify checks a tarball against the dist of its version.
func (v version) verify(a attachment) error {
	var dist struct{ Integrity, Shasum string }
	if err := json.Unmarshal(v.manifest["dist"], &dist); err != nil {
		return err
	}
	switch {
	case !goodNumber.MatchString(v.number):
		return fmt.Errorf("not a version: %q", v.number)
	case a.Length != int64(len(a.Data)):
		return fmt.Errorf("length is %d, %d bytes came", a.Length, len(a.Data))
	case dist.Integrity != tarball.Integrity(a.Data):
		return fmt.Errorf("integrity is not %q", dist.Integrity)
	case dist.Shasum != tarball.Shasum(a.Data):
		return fmt.Errorf("shasum is not %q", dist.Shasum)
	}
	return nil
}

// edit changes the manifests of versions that p has. Their dist stays ours.
func (sub *submission) edit(p *packument) error {
	for _, m := range sub.versions {
		i := slices.IndexFunc(p.versions, func(v version) bool { return v.number == m.Key })
		if i < 0 {
			return fmt.Errorf("no tarball of %s@%s came: %w", p.name, m.Key, ErrInvalid)
		}
		edited := version{number: m.Key, published: p.versions[i].published, file: p.versions[i].file}
		if err := json.Unmarshal(m.Raw, &edited.manifest); err != nil || edited.manifest == nil {
			return fmt.Errorf("cannot read %s@%s: %w", p.name, m.Key, ErrInvalid)
		}
		edited.manifest["dist"] = p.versions[i].manifest["dist"]
		p.versions[i] = edited
	}
	maps.Copy(p.extra, sub.extra)
	return p.tag(sub.tags)
}

// tag moves tags to versions that p has.
func (p *packument) tag(tags map[string]string) error {
	for tag, number := range tags {
		if _, ok := p.version(number); !ok || tag == "" || goodNumber.MatchString(tag) {
			return fmt.Errorf("cannot tag %s@%s as %q: %w", p.name, number, tag, ErrInvalid)
		}
		p.tags[tag] = number
	}
	return nil
}

// change edits one package, at the revision rev unless that is empty.
func (s *Store) change(name, rev string, edit func(p *packument) error) error {
	return s.write(func(next *content) error {
		old := next.packages[name]
		if old == nil {
			return ErrNotFound
		}
		if rev != "" && rev != old.revision() {
			return ErrConflict
		}
		p := old.clone()
		if err := edit(p); err != nil {
			return err
		}
		next.packages[name] = p
		return p.seal(time.Now())
	})
}

// replace carries out PUT …/-rev/REV: the versions and tags that the document
// does not name are gone. Tarballs stay until they are removed themselves.
func (s *Store) replace(sub *submission, rev string) error {
	return s.change(sub.name, rev, func(p *packument) error {
		if sub.listed {
			p.versions = slices.DeleteFunc(p.versions, func(v version) bool {
				return !slices.ContainsFunc(sub.versions, func(m ordered.Member) bool { return m.Key == v.number })
			})
			p.tags = map[string]string{}
		}
		return sub.edit(p)
	})
}

// setTag moves one tag, or removes it where number is empty.
func (s *Store) setTag(name, tag, number string) error {
	return s.change(name, "", func(p *packument) error {
		if number == "" {
			delete(p.tags, tag)
			return nil
		}
		return p.tag(map[string]string{tag: number})
	})
}

// remove carries out DELETE /name/-rev/REV: the package and its tarballs.
func (s *Store) remove(name, rev string) error {
	return s.write(func(next *content) error {
		p := next.packages[name]
		if p == nil {
			return ErrNotFound
		}
		if rev != p.revision() {
			return ErrConflict
		}
		delete(next.packages, name)
		maps.DeleteFunc(next.files, func(where string, _ *file) bool {
			return strings.HasPrefix(where, tarballPath(name, ""))
		})
		return nil
	})
}

// removeTarball carries out DELETE /name/-/file/-rev/REV.
func (s *Store) removeTarball(name, base, rev string) error {
	return s.write(func(next *content) error {
		where := tarballPath(name, base)
		if next.files[where] == nil {
			return ErrNotFound
		}
		if p := next.packages[name]; p != nil && rev != p.revision() {
			return ErrConflict
		}
		delete(next.files, where)
		return nil
	})
}
