package sample

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/sample/account"
	"pkgedge/origin/sample/ordered"
	"pkgedge/origin/sample/tarball"
)

// Errors of a Store, matched with [errors.Is].
var (
	ErrInvalid  = errors.New("invalid")
	ErrExists   = errors.New("already published")
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
)

// PrivateScope is the scope whose packages need a bearer token.
const PrivateScope = "@edge-private"

// Store is the content that one or more masters serve. It is safe for
// concurrent use; its size is bounded only by the packages in it.
type Store struct {
	content  atomic.Pointer[content]
	accounts account.Accounts

	mu sync.Mutex // serialises writers; readers take content as it is

	notifier notifier // there is new content
}

// content is one state of a store. It is never changed, only replaced, so a
// lagging master keeps an old one by keeping the pointer.
type content struct {
	packages map[string]*packument
	files    map[string]*file // by path below the base: "/name/-/name-1.0.0.tgz"
	events   []event          // every change of a package, in order
}

// file is bytes served at a path.
type file struct {
	body     []byte
	header   http.Header
	modified time.Time
}

// NewStore makes a store without packages.
func NewStore() *Store {
	s := new(Store)
	s.content.Store(&content{packages: map[string]*packument{}, files: map[string]*file{}})
	return s
}

// Version is one version for [Store.AddPackage] to build and publish.
type Version struct {
	Number       string
	Tags         []string // dist-tags that move to it; none is latest
	Description  string
	Readme       string // becomes the readme of the package
	Deprecated   string
	Dependencies map[string]string
	Bin          map[string]string
	Scripts      map[string]string
	Files        map[string][]byte // more of the tarball, by path below "package/"
	Published    time.Time         // zero is a date in 2024
}

var (
	goodName   = regexp.MustCompile(`^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*$`)
	goodNumber = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

// AddPackage builds versions of a package with their tarballs and publishes
// them, to a package that exists as well. The error is [ErrInvalid] for a name
// or number that no registry takes, and [ErrExists] for a version that is
// there.
func (s *Store) AddPackage(name string, versions ...Version) error {
	return s.write(func(next *content) error {
		p := next.packages[name]
		if p == nil {
			p = &packument{name: name, tags: map[string]string{}, extra: map[string]json.RawMessage{}}
		} else {
			p = p.clone()
		}
		for _, v := range versions {
			if v.Published.IsZero() {
				v.Published = tarball.Time.AddDate(0, 0, len(p.versions))
			}
			if err := v.publish(p, next.files); err != nil {
				return fmt.Errorf("cannot add %s@%s: %w", name, v.Number, err)
			}
			if p.created.IsZero() {
				p.created = v.Published
			}
			p.modified = v.Published
		}
		next.packages[name] = p
		return p.seal(p.modified)
	})
}

// publish builds v and puts it into p and its tarball into files.
func (v Version) publish(p *packument, files map[string]*file) error {
	if !goodName.MatchString(p.name) || !goodNumber.MatchString(v.Number) {
		return ErrInvalid
	}
	if _, ok := p.version(v.Number); ok {
		return ErrExists
	}
	manifest := map[string]any{
		"name": p.name, "version": v.Number, "main": "index.js", "license": "MIT",
	}
	for key, value := range map[string]map[string]string{
		"dependencies": v.Dependencies, "bin": v.Bin, "scripts": v.Scripts,
	} {
		if len(value) > 0 {
			manifest[key] = value
		}
	}
	if v.Description != "" {
		manifest["description"] = v.Description
	}
	inside, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	tree := map[string][]byte{
		"index.js": fmt.Appendf(nil, "module.exports = %q;\n", p.name+"@"+v.Number),
	}
	maps.Copy(tree, v.Files)
	tree["package.json"] = append(inside, '\n')
	packed, err := tarball.Pack(tree)
	if err != nil {
		return err
	}

	unpacked := 0
	for _, body := range tree {
		unpacked += len(body)
	}
	base := p.name[strings.LastIndex(p.name, "/")+1:] + "-" + v.Number + ".tgz"
	manifest["_id"] = p.name + "@" + v.Number
	manifest["dist"] = map[string]any{
		"integrity": tarball.Integrity(packed), "shasum": tarball.Shasum(packed), "tarball": base,
		"fileCount": len(tree), "unpackedSize": unpacked,
	}
	if v.Deprecated != "" {
		manifest["deprecated"] = v.Deprecated
	}
	raw, err := ordered.Encode(manifest)
	if err != nil {
		return err
	}
	made, err := readVersion(p.name, v.Number, raw)
	if err != nil {
		return err
	}
	made.published = v.Published
	p.versions = append(p.versions, made)
	files[tarballPath(p.name, base)] = tarballFile(packed, v.Published)
	for _, tag := range v.Tags {
		p.tags[tag] = v.Number
	}
	if len(v.Tags) == 0 {
		p.tags["latest"] = v.Number
	}
	for key, text := range map[string]string{"description": v.Description, "readme": v.Readme} {
		if text == "" {
			continue
		}
		if p.extra[key], err = ordered.Encode(text); err != nil {
			return err
		}
	}
	return nil
}

// tarballFile is a tarball with the headers the public registry gives it.
func tarballFile(body []byte, modified time.Time) *file {
	return &file{body: body, modified: modified, header: http.Header{
		"Content-Type":  {"application/octet-stream"},
		"Cache-Control": {"public, immutable, max-age=31557600"},
		"Etag":          {etag(body)},
		"Set-Cookie":    {"edge_sample_visitor=1; Path=/; HttpOnly"},
		"Vary":          {"Accept-Encoding"},
	}}
}

// AddFile serves body at a decoded path below the base, before any package that
// would answer there. The header is used as it is, and completed with an
// ETag and a Content-Type where it has no such key; a key with an empty list
// keeps one off. A nil header is that of a tarball. AddFile keeps body and
// header, which must not change afterwards.
func (s *Store) AddFile(path string, body []byte, header http.Header) error {
	f := tarballFile(body, tarball.Time)
	if header != nil {
		f.header = http.Header{"Content-Type": f.header["Content-Type"], "Etag": f.header["Etag"]}
		for key, values := range header {
			f.header[http.CanonicalHeaderKey(key)] = values
		}
	}
	return s.write(func(next *content) error {
		next.files[path] = f
		return nil
	})
}

// AddPackument puts a full packument into the store, without its tarballs, in
// the place of the package of that name. Masters serve both its forms and move
// its tarball URLs to their own base.
func (s *Store) AddPackument(doc []byte) error {
	sub, err := readSubmission(doc)
	if err != nil {
		return fmt.Errorf("cannot add packument: %w", err)
	}
	p := &packument{name: sub.name, tags: map[string]string{}, extra: sub.extra}
	maps.Copy(p.tags, sub.tags) // which is nil where the document has null
	for _, m := range sub.versions {
		v, err := readVersion(sub.name, m.Key, m.Raw)
		if err != nil {
			return fmt.Errorf("cannot add packument: %w", err)
		}
		v.published = sub.time(m.Key, tarball.Time)
		p.versions = append(p.versions, v)
	}
	p.created, p.modified = sub.time("created", tarball.Time), sub.time("modified", tarball.Time)
	return s.write(func(next *content) error {
		next.packages[p.name] = p
		return p.seal(p.modified)
	})
}

// write lets edit change a copy of the content, which takes its place unless
// edit fails. A packument in the copy must be replaced, not changed.
func (s *Store) write(edit func(next *content) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.content.Load()
	next := &content{packages: maps.Clone(now.packages), files: maps.Clone(now.files)}
	if err := edit(next); err != nil {
		return err
	}
	next.events = now.changed(next.packages)
	s.content.Store(next)
	s.notifier.notify()
	return nil
}

// names lists the packages in order.
func (c *content) names() []string { return slices.Sorted(maps.Keys(c.packages)) }

// newest is when the content last changed.
func (c *content) newest() time.Time {
	var at time.Time
	for _, p := range c.packages {
		if p.modified.After(at) {
			at = p.modified
		}
	}
	return at
}

// private says whether a package needs a bearer token.
func private(name string) bool { return strings.HasPrefix(name, PrivateScope+"/") }

// etag is a strong validator, an MD5 as the public registry's is.
func etag(body []byte) string { return fmt.Sprintf(`"%x"`, md5.Sum(body)) }

// Grant makes a bearer token for a user, known to the store or not. It returns ""
// once the store holds 10,000 tokens.
func (s *Store) Grant(user string) (token string) { return s.accounts.Grant(user) }
