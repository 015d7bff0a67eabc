package packument

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"

	"pkgedge/origin/kind"
)

// algorithms are those a digest may have, the strongest first.
var algorithms = [...]struct {
	name string
	size int
}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}, {"sha1", 20}}

// digest chooses the strongest digest of a dist. The sum is
// valid until the next call.
func (w *rewriter) digest(d sums) kind.Digest {
	if d.integrity != (Span{}) {
		if best, ok := w.strongest(w.Unquote(w.src[d.integrity.From:d.integrity.To])); ok {
			return best
		}
	}
	if d.shasum != (Span{}) {
		text := w.Unquote(w.src[d.shasum.From:d.shasum.To])
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

// fileNames are the names of the tarball of the version just read, as routes have them.
func (w *rewriter) fileNames() [][]byte {
	switch {
	case len(w.file) == 0:
		return nil
	case w.scoped:
		return [][]byte{w.file, append([]byte(w.scope), w.file...)}
	}
	return [][]byte{w.file}
}
