package packument

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	neturl "net/url"
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

// master is the URL of the master that sent a packument.
type master struct {
	text string
	url  *neturl.URL // nil where it is not known
	path string      // escaped, without a final slash
}

func masterAt(base string) master {
	u, err := neturl.Parse(base)
	if base == "" || err != nil {
		return master{}
	}
	return master{base, u, strings.TrimSuffix(u.EscapedPath(), "/")}
}

// tarball is the tarball of a version: the names that it may be asked for by, and its
// place. It is used again for the next version.
type tarball struct {
	file  []byte   // the name that clients are given, decoded; empty for none
	other [][]byte // further names: clients may know them, or make them up
	place []byte   // where it is, where that does not follow from the name: see kind.Digest.At
}

func (t *tarball) clear() { *t = tarball{file: t.file[:0], other: t.other[:0]} }

// bases is the URL below which a packument has the tarballs that lie in the usual place,
// <base>/<name>/-/<file>. It is told once, so that these cost nothing each.
type bases struct {
	known bool
	url   string // as kind.Digest.At says a place; "" for the master's own
	text  string // as the packument has it
	own   bool   // it is at the master, and not its URL
	// odd are the URLs of files that lie there under a name which does not tell the
	// version, by that name.
	odd map[string]string
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
	err := w.Each(func(key []byte) (err error) {
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
		return err
	})
	return d, err
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

// tarballURL is the URL of a tarball, as a packument has it.
type tarballURL struct {
	from, to int    // where it is in the source, without the quotes
	verbatim bool   // it stands there as it is, without an escape
	text     []byte // without its fragment
	raw      []byte // its basename
	at       int    // where raw is in text
	file     []byte // raw decoded, nil for one that no tarball route has
	scoped   bool   // the package's scope is a part of file
}

// findSplice finds the place of a quoted tarball URL, and chooses the name that clients
// are given for it: w.tarball has both. ok is false for a text that is no URL, or that
// has no path. A file in the usual place keeps its name, as it is written there.
func (w *rewriter) findSplice(url Span, number []byte) (sp splice, ok bool) {
	quoted := w.src[url.From:url.To]
	u := &tarballURL{from: url.From + 1, to: url.To - 1, verbatim: true, text: quoted[1 : len(quoted)-1]}
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var err error
		if u.text, err = jsontext.AppendUnquote(nil, quoted); err != nil {
			return sp, false
		}
		u.verbatim = false
	}
	u.text, _, _ = bytes.Cut(u.text, []byte("#"))
	from, to := basename(u.text)
	u.raw, u.at = u.text[from:to], from
	u.file, u.scoped = w.decoded(u.raw)
	if u.file != nil && to == len(u.text) {
		if base, usual := bytes.CutSuffix(u.text[:from], w.usual); usual && w.inUsualPlace(u, base, number) {
			w.tarball.file = append(w.tarball.file, u.file...)
			return w.keep(u), true
		}
	}
	return w.placeElsewhere(u, number)
}

// keep makes a splice that keeps the basename.
func (w *rewriter) keep(u *tarballURL) splice {
	sp := splice{from: u.from, to: u.to}
	if u.verbatim {
		sp.base, sp.n = u.from+u.at, len(u.raw)
	} else {
		sp.base, sp.n = w.literal(QuoteInner(string(u.raw)))
	}
	return sp
}

// inUsualPlace takes a file whose URL ends as that of a file in the usual place does.
// It is false for one whose name another file in the usual place of another base has.
func (w *rewriter) inUsualPlace(u *tarballURL, base, number []byte) bool {
	b := &w.bases
	if !b.known {
		b.known, b.text = true, string(base)
		if b.text != w.master.text || w.master.url == nil { // it is nearly always the master's
			b.url, b.own = w.master.base(base)
		}
	}
	asked := u.raw // as a route has it
	if u.scoped {
		var found bool
		if asked, found = bytes.CutPrefix(u.raw, []byte(w.scope[:len(w.scope)-1]+"%2f")); !found {
			asked = nil
		}
	}
	if !plain(asked) || b.text != string(base) && !sameBase(b.text, string(base)) {
		w.tarball.place = w.master.below(u.text)
	}
	if tells(u.raw, number) {
		return true
	}
	if first, known := b.odd[string(u.file)]; known {
		if first == string(u.text) {
			return true // two versions have one file
		}
		w.tarball.place = nil
		return false
	}
	if b.odd == nil {
		b.odd = make(map[string]string)
	}
	b.odd[string(u.file)] = string(u.text)
	return true
}

// decoded decodes the percent-encoded basename of a URL. file is nil for one that no tarball
// route has.
func (w *rewriter) decoded(raw []byte) (file []byte, scoped bool) {
	file = raw
	if bytes.IndexByte(raw, '%') >= 0 {
		text, err := neturl.PathUnescape(string(raw))
		if err != nil {
			return nil, false
		}
		file = []byte(text)
	}
	if FileName(file) {
		return file, false
	}
	if after, found := bytes.CutPrefix(file, []byte(w.scope)); found && w.scope != "" && FileName(after) {
		return file, true
	}
	return nil, false
}

// tells says whether a file's name ends with a version, and so is no other version's.
func tells(name, number []byte) bool {
	stem, ok := bytes.CutSuffix(name, []byte(".tgz"))
	if !ok {
		if stem, ok = bytes.CutSuffix(name, []byte(".tar.gz")); !ok {
			return false
		}
	}
	before, ok := bytes.CutSuffix(stem, number)
	if !ok || len(number) == 0 {
		return false
	}
	before = bytes.TrimSuffix(before, []byte("v"))
	return len(before) == 0 || bytes.IndexByte([]byte("-_@"), before[len(before)-1]) >= 0
}

// plain says whether a text can stand in a URL and in JSON as it is, as one segment of
// a path that every reader takes for the same.
func plain(text []byte) bool {
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case bytes.IndexByte([]byte("-_.!~*'()$&+,;=:@"), c) < 0:
			return false
		}
	}
	return len(text) > 0 && FileName(text)
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
