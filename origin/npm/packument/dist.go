package packument

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/kind"
)

// splice is a tarball URL to replace: everything between the quotes from one
// offset to another goes, except the basename, which follows the new prefix.
type splice struct {
	from, to int
	base, n  int // the basename: position in a plan, and length
}

// rewriter reads a source and plans the same document with other tarball URLs.
type rewriter struct {
	Reader
	full              plan
	cursor            int      // how much of the source is in full
	prefix, prefixLen int      // position of "<public base>/<name>/-/"
	name, scope       string   // of the package; its scope with a slash, "" for none
	usual             []byte   // the end of the URL of a tarball in the usual place, before its name
	splices           []splice // in the version being read
	tarball           tarball  // of that version
	master            master
	bases             bases
	sum               [64]byte // the last digest
}

func newRewriter(prefix, name string, from kind.Source) rewriter {
	src := from.Body
	w := rewriter{Reader: NewReader(src), full: plan{src: src}, name: name, usual: []byte("/" + name + "/-/"), master: masterAt(from.Base), scope: name[:strings.IndexByte(name, '/')+1]}
	w.prefix, w.prefixLen = w.literal(prefix)
	return w
}

// finish completes the plan.
func (w *rewriter) finish() {
	w.full.copy(w.cursor, len(w.src))
	w.full.added = w.added
}

// at is where an offset of the source, at or after the last splice, is in the
// full document.
func (w *rewriter) at(offset int) int64 { return w.full.size + int64(offset-w.cursor) }

// sums are the digests in a dist: quoted strings, or nothing.
type sums struct{ integrity, shasum Span }

// dist reads the member "dist" of a version of that number and replaces its tarball URL.
func (w *rewriter) dist(number []byte) (sums, error) {
	var d sums
	w.tarball.clear()
	if w.Kind() != jsontext.KindBeginObject {
		_, err := w.Value()
		return d, err
	}
	if err := w.Object(); err != nil {
		return d, err
	}
	for {
		key, _, ok, err := w.Next()
		if err != nil || !ok {
			return d, err
		}
		switch string(key) {
		case "tarball":
			err = w.readTarball(number)
		case "integrity":
			d.integrity, err = w.StringValue()
		case "shasum":
			d.shasum, err = w.StringValue()
		default:
			_, err = w.Value()
		}
		if err != nil {
			return d, err
		}
	}
}

// readTarball reads the URL of the tarball of a version.
func (w *rewriter) readTarball(number []byte) error {
	w.tarball.clear()
	url, err := w.StringValue()
	if err != nil || url == (Span{}) {
		return err
	}
	if sp, ok := w.findSplice(url, number); ok {
		w.splices = append(w.splices, sp)
		w.cursor = w.splice(&w.full, w.cursor, sp)
	}
	return nil
}

// splice writes the source from an offset to the end of the splice, replaced,
// and returns that end.
func (w *rewriter) splice(p *plan, from int, sp splice) int {
	p.copy(from, sp.from)
	p.add(w.prefix, w.prefixLen)
	p.add(sp.base, sp.n)
	return sp.to
}

// basename finds the last segment of the path of a URL or of a path, without
// query and fragment. It is empty if there is none.
func basename(url []byte) (from, to int) {
	to = len(url)
	if i := bytes.IndexAny(url, "?#"); i >= 0 {
		to = i
	}
	path := 0
	if i := bytes.Index(url[:to], []byte("//")); i == 0 || i > 0 && url[i-1] == ':' {
		path = i + len("//") // of the authority
	}
	i := bytes.LastIndexByte(url[path:to], '/')
	if i < 0 {
		return to, to
	}
	return path + i + 1, to
}

// MaxFile is the longest file name, version or tag, in bytes: a name, a version
// of 256 bytes (the limit of semver) and an extension.
const MaxFile = 512

// FileName reports whether decoded text can name a file, a version or a tag
// below a package. A "%" is refused: no real one has it, and a master that
// decodes twice would see something else than we keyed.
func FileName[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > MaxFile {
		return false
	}
	dots, ascii := 0, true
	for i := range len(s) {
		c := s[i]
		switch {
		case c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '%':
			return false
		case c == '.':
			dots++
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if dots == len(s) && dots <= 2 {
		return false
	}
	return ascii || utf8.ValidString(string(s))
}

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
