package warm

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// dist is the entry of a version's tarball in a packument.
type dist struct {
	Tarball   string `json:"tarball"`
	Integrity string `json:"integrity"`
	Shasum    string `json:"shasum"`
}

// checks returns the digests of the packument: integrity, else shasum.
func (d dist) checks() []digestCheck {
	digests := strongestDigests(d.Integrity)
	if digests == nil {
		digests = shasumDigest(d.Shasum)
	}
	if digests == nil {
		return nil
	}
	return []digestCheck{{from: fromPackument, oneOf: digests}}
}

// file returns the name of the tarball: that of the packument, else that of a
// lockfile, else the usual one.
func (d dist) file(v wantedVersion, name string) string {
	if u, err := url.Parse(d.Tarball); err == nil && d.Tarball != "" {
		if base := path.Base(u.Path); base != "." && base != "/" {
			return base
		}
	}
	if v.file != "" {
		return v.file
	}
	return name[strings.LastIndexByte(name, '/')+1:] + "-" + v.version + ".tgz"
}

// scanPackument reads a packument to its end and returns the entries of the
// versions wanted. It keeps nothing else, so that a large packument costs little
// memory.
func scanPackument(r io.Reader, wanted []wantedVersion) (map[string]dist, error) {
	want := make(map[string]bool, len(wanted))
	for _, v := range wanted {
		want[v.version] = true
	}
	found := make(map[string]dist, len(wanted))
	dec := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err := eachMember(dec, func(key string) error {
		if key != "versions" {
			return dec.SkipValue()
		}
		return eachMember(dec, func(version string) error {
			if !want[version] {
				return dec.SkipValue()
			}
			manifest, err := dec.ReadValue()
			if err != nil {
				return err
			}
			var v struct {
				Dist dist `json:"dist"`
			}
			// A dist of another shape says nothing: the tarball is tried all the same.
			if json.Unmarshal(manifest, &v, dec.Options()) != nil {
				v.Dist = dist{}
			}
			found[version] = v.Dist
			return nil
		})
	})
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return found, nil
		}
		err = cmp.Or(err, errors.New("something follows it"))
	}
	return nil, fmt.Errorf("cannot read the packument: %w", err)
}

// eachMember reads an object. member reads the value of each key.
func eachMember(dec *jsontext.Decoder, member func(key string) error) error {
	t, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if t.Kind() != '{' {
		return fmt.Errorf("%s where an object was expected", t.Kind())
	}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := member(key.String()); err != nil {
			return err
		}
	}
	_, err = dec.ReadToken()
	return err
}
