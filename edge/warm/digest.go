package warm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
)

// errNoDigest says that no lockfile and no packument has a digest of a tarball.
var errNoDigest = errors.New("neither a lockfile nor the packument has a digest")

// digestAlgorithms are the algorithms of npm, the strongest first.
var digestAlgorithms = []struct {
	name string
	make func() hash.Hash
}{
	{"sha512", sha512.New}, {"sha384", sha512.New384}, {"sha256", sha256.New}, {"sha1", sha1.New},
}

// tarballDigest is a digest that a tarball may have.
type tarballDigest struct {
	algorithm string
	sum       []byte
}

func (d tarballDigest) String() string {
	return d.algorithm + "-" + base64.StdEncoding.EncodeToString(d.sum)
}

// digestCheck lists the digests that one source accepts for a tarball.
type digestCheck struct {
	from  string          // a lockfile's path, or "the packument"
	oneOf []tarballDigest // of one algorithm; a match of one is enough
}

const fromPackument = "the packument"

// strongestDigests reads an integrity attribute (W3C Subresource Integrity
// section 3.3). It returns the hashes of the strongest algorithm. Malformed and
// unknown ones are left out; nil means that none is left.
func strongestDigests(integrity string) []tarballDigest {
	var all []tarballDigest
	for word := range strings.FieldsSeq(integrity) {
		algorithm, text, _ := strings.Cut(word, "-")
		text, _, _ = strings.Cut(text, "?") // options
		if sum, err := base64.StdEncoding.DecodeString(text); err == nil {
			all = append(all, tarballDigest{algorithm, sum})
		}
	}
	for _, a := range digestAlgorithms {
		strongest := slices.DeleteFunc(slices.Clone(all), func(d tarballDigest) bool {
			return d.algorithm != a.name || len(d.sum) != a.make().Size()
		})
		if len(strongest) > 0 {
			return strongest
		}
	}
	return nil
}

// shasumDigest reads the hexadecimal SHA-1 of old packuments.
func shasumDigest(shasum string) []tarballDigest {
	sum, err := hex.DecodeString(shasum)
	if err != nil || len(sum) != sha1.Size {
		return nil
	}
	return []tarballDigest{{"sha1", sum}}
}

// hashTarball reads r to its end. It returns nil when every check finds its digest,
// and [errNoDigest] when there is no check.
func hashTarball(r io.Reader, checks []digestCheck) error {
	hashes := map[string]hash.Hash{}
	var all []io.Writer
	for _, a := range digestAlgorithms {
		if slices.ContainsFunc(checks, func(c digestCheck) bool { return c.oneOf[0].algorithm == a.name }) {
			hashes[a.name] = a.make()
			all = append(all, hashes[a.name])
		}
	}
	if _, err := io.Copy(io.MultiWriter(all...), r); err != nil {
		return err
	}
	for _, c := range checks {
		got := tarballDigest{c.oneOf[0].algorithm, hashes[c.oneOf[0].algorithm].Sum(nil)}
		if !slices.ContainsFunc(c.oneOf, func(d tarballDigest) bool { return bytes.Equal(d.sum, got.sum) }) {
			return fmt.Errorf("wrong bytes: %s, where %s has %s", got, c.from, c.oneOf[0])
		}
	}
	if len(checks) == 0 {
		return errNoDigest
	}
	return nil
}
