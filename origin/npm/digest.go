package npm

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"pkgedge/origin/kind"
)

// Lists returns the packument route of a tarball, whose memo says what the
// tarball must hash to.
func (k *Kind) Lists(file kind.Route) []kind.Route {
	if file.Class != kind.File || file.What != tarball {
		return nil
	}
	n, ok := parseName(file.Group)
	if !ok {
		return nil
	}
	list := k.packumentRoute(n, kind.Memo)
	k.policy.apply(&list)
	return []kind.Route{list}
}

// Digest finds a tarball in the memo of its packument. It is the strongest the
// packument has: sha512, sha384, sha256 or sha1. There is none for a file that
// the packument does not list, lists without one, or lists twice with different
// ones. A tarball that the site's policy withholds says so, and so does one that
// is not listed where a release must have an age.
func (k *Kind) Digest(file kind.Route, memo []byte) (kind.Digest, bool) {
	name := fileOf(file)
	if name == "" {
		return kind.Digest{}, false
	}
	lines, ok := kind.Lines(memo, memoFormat)
	if !ok {
		return kind.Digest{}, false
	}
	if why, ok := kind.Find(lines, "withheld/"+name); ok {
		return kind.Digest{Withheld: string(why)}, true
	}
	line, ok := kind.Find(lines, "file/"+name)
	if !ok {
		if _, bare := kind.Find(lines, "bare/"+name); !bare && line == nil && k.policy.minimumAge() > 0 {
			return kind.Digest{Withheld: "no release that has this file is known"}, true
		}
		return kind.Digest{}, false
	}
	algorithm, encoded, _ := bytes.Cut(line, []byte("\t"))
	for _, a := range algorithms {
		if string(algorithm) != a.name {
			continue
		}
		if base64.RawStdEncoding.DecodedLen(len(encoded)) != a.size {
			break
		}
		sum := make([]byte, a.size)
		if n, err := base64.RawStdEncoding.Decode(sum, encoded); err != nil || n != a.size {
			break
		}
		return kind.Digest{Algorithm: a.name, Sum: sum}, true
	}
	return kind.Digest{}, false
}

// fileOf is the name of a tarball as memos have it, "" for another route.
func fileOf(file kind.Route) string {
	name, ok := strings.CutPrefix(file.Key, "tarball/"+file.Group+"/")
	if !ok || file.What != tarball {
		return ""
	}
	name, _, _ = strings.Cut(name, keyMark)
	if before, after, found := cutEscapedSlash(name); found {
		return before + "/" + after
	}
	return name
}

// names are the names of the tarball of the version just read, as routes have them.
func (w *rewriter) names() [][]byte {
	switch {
	case len(w.file) == 0:
		return nil
	case w.scoped:
		return [][]byte{w.file, append([]byte(w.scope), w.file...)}
	}
	return [][]byte{w.file}
}

// algorithms are those a digest may have, the strongest first.
var algorithms = [...]struct {
	name string
	size int
}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}, {"sha1", 20}}

// digest chooses the strongest of what a dist says of its tarball. The sum is
// valid until the next call.
func (w *rewriter) digest(d sums) kind.Digest {
	if d.integrity != (span{}) {
		if best, ok := w.strongest(w.unquote(w.src[d.integrity.from:d.integrity.to])); ok {
			return best
		}
	}
	if d.shasum != (span{}) {
		text := w.unquote(w.src[d.shasum.from:d.shasum.to])
		if len(text) == 2*20 {
			if n, err := hex.Decode(w.sum[:], text); err == nil {
				return kind.Digest{Algorithm: "sha1", Sum: w.sum[:n]}
			}
		}
	}
	return kind.Digest{}
}

// strongest reads integrity metadata (Subresource Integrity, section 3.5):
// hashes with spaces between them, each with options after a "?". An algorithm
// with two different sums allows either, which a digest cannot say, so it is
// passed over.
func (w *rewriter) strongest(integrity []byte) (kind.Digest, bool) {
	for _, a := range algorithms[:3] {
		var found []byte
		several := false
		for hash := range bytes.FieldsSeq(integrity) {
			encoded, ok := bytes.CutPrefix(hash, []byte(a.name))
			if !ok || len(encoded) == 0 || encoded[0] != '-' {
				continue
			}
			encoded, _, _ = bytes.Cut(encoded[1:], []byte("?"))
			encoded = bytes.TrimRight(encoded, "=")
			if base64.RawStdEncoding.DecodedLen(len(encoded)) != a.size {
				continue
			}
			several = several || found != nil && !bytes.Equal(found, encoded)
			found = encoded
		}
		if found == nil || several {
			continue
		}
		if n, err := base64.RawStdEncoding.Decode(w.sum[:], found); err == nil && n == a.size {
			return kind.Digest{Algorithm: a.name, Sum: w.sum[:n]}, true
		}
	}
	return kind.Digest{}, false
}
