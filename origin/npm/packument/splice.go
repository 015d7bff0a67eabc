package packument

import (
	"bytes"
	neturl "net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
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
	scope             string   // of the package, with a slash; "" for none
	splices           []splice // in the version being read
	file              []byte   // its tarball, decoded; empty if it has none
	scoped            bool     // the tarball is also scope and file, see scopedTarballRoute
	sum               [64]byte // the last digest
}

func newRewriter(prefix, name string, src []byte) rewriter {
	w := rewriter{Reader: NewReader(src), full: plan{src: src}, scope: name[:strings.IndexByte(name, '/')+1]}
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

// dist reads the member "dist" of a version and replaces its tarball URL.
func (w *rewriter) dist() (sums, error) {
	var d sums
	w.clear()
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
			err = w.tarball()
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

// tarball reads a tarball URL.
func (w *rewriter) tarball() error {
	w.clear()
	url, err := w.StringValue()
	if err != nil || url == (Span{}) {
		return err
	}
	if sp, ok := w.findSplice(url); ok {
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

// clear forgets the tarball.
func (w *rewriter) clear() { w.file, w.scoped = w.file[:0], false }

// findSplice looks for the basename of a quoted URL and leaves it, decoded, in
// w.file. There is none in a text without a slash, in a URL that ends with one,
// or where it is something that no request could name.
func (w *rewriter) findSplice(url Span) (sp splice, ok bool) {
	quoted := w.src[url.From:url.To]
	sp = splice{from: url.From + 1, to: url.To - 1}
	if bytes.IndexByte(quoted, '\\') < 0 {
		text := quoted[1 : len(quoted)-1]
		from, to := basename(text)
		sp.base, sp.n = sp.from+from, to-from
		return sp, w.decode(text, from, to)
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return sp, false
	}
	from, to := basename(text)
	if !w.decode(text, from, to) {
		return sp, false
	}
	sp.base, sp.n = w.literal(QuoteInner(string(text[from:to])))
	return sp, true
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

// decode puts the percent-encoded basename of a URL, decoded, into w.file. It
// fails for a text that no request could name. One with an escaped slash can be asked for
// but not as a tarball route, so it leaves w.file empty, except where it is the
// package's scope that stands before the slash.
func (w *rewriter) decode(url []byte, from, to int) bool {
	w.clear()
	base := url[from:to]
	if bytes.IndexByte(base, '%') < 0 {
		w.file = append(w.file, base...)
	} else if plain, err := neturl.PathUnescape(string(base)); err == nil {
		w.file = append(w.file, plain...)
	} else {
		return false
	}
	if FileName(w.file) {
		path, found := bytes.CutSuffix(url[:from], []byte(w.scope))
		w.scoped = found && w.scope != "" && bytes.HasSuffix(path, []byte("/-/"))
		return true
	}
	if file, found := bytes.CutPrefix(w.file, []byte(w.scope)); found && FileName(file) {
		return true
	}
	ok := true
	for part := range bytes.SplitSeq(w.file, []byte("/")) {
		ok = ok && FileName(part)
	}
	w.clear()
	return ok
}
