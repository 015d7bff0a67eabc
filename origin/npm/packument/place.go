package packument

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	neturl "net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Registries keep tarballs where they like. A client is given <public base>/<name>/-/<file>
// all the same, and the summary says where that file is. See docs/decisions/0023.

// tarball is the tarball of a version: the names that it may be asked for by, and its
// place. It is used again for the next version.
type tarball struct {
	file  []byte   // the name that clients are given, decoded; empty for none
	other [][]byte // further names: clients may know them, or make them up
	place []byte   // where it is, where that does not follow from the name: see kind.Digest.At
}

func (t *tarball) clear() { *t = tarball{file: t.file[:0], other: t.other[:0]} }

// names are all names of the tarball, the given one first.
func (t *tarball) names() [][]byte {
	if len(t.file) == 0 {
		return nil
	}
	return append([][]byte{t.file}, t.other...)
}

// add adds a name, decoded, unless it is one already.
func (t *tarball) add(name []byte) {
	if len(name) == 0 || bytes.Equal(name, t.file) {
		return
	}
	t.other = append(t.other, name)
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

// below is the path of a URL below the master, or the URL as it is for another one. Of
// a master behind a proxy the scheme may be another one here than in its packuments.
func (m *master) below(place []byte) []byte {
	if m.url == nil {
		return place
	}
	if rest, ok := bytes.CutPrefix(place, []byte(m.text)); ok && len(rest) > 0 && rest[0] == '/' {
		return rest
	}
	u, err := m.url.Parse(string(place))
	if err != nil || !strings.EqualFold(u.Hostname(), m.url.Hostname()) || portOf(u) != portOf(m.url) {
		return place
	}
	rest, ok := strings.CutPrefix(u.EscapedPath(), m.path)
	if !ok || !strings.HasPrefix(rest, "/") {
		return []byte(u.String())
	}
	if u.RawQuery != "" {
		rest += "?" + u.RawQuery
	}
	return []byte(rest)
}

// base is the place of the URL below which tarballs lie, as below gives it. own says that it
// is at the master, and not the master's URL.
func (m *master) base(text []byte) (url string, own bool) {
	if string(text) == m.text && m.url != nil { // as nearly always
		return "", false
	}
	place := m.below(append(text[:len(text):len(text)], '/'))
	url = strings.TrimSuffix(string(place), "/")
	if m.url == nil || url == "" {
		return url, false
	}
	if url[0] == '/' && !strings.HasPrefix(url, "//") {
		return url, true
	}
	u, err := m.url.Parse(url)
	return url, err == nil && strings.EqualFold(u.Hostname(), m.url.Hostname()) && portOf(u) == portOf(m.url)
}

// portOf is the port of a URL, "" for that of its scheme.
func portOf(u *neturl.URL) string {
	switch port := u.Port(); {
	case port == "80" && u.Scheme == "http", port == "443" && u.Scheme == "https":
		return ""
	default:
		return port
	}
}

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

// maxPlace is the longest URL of a tarball, in bytes, that is remembered.
const maxPlace = 4 << 10

// findSplice finds the place of a quoted tarball URL, and chooses the name that clients
// are given for it: w.tarball has both. ok is false for a text that is no URL, or that
// has no path.
//
// A file in the usual place keeps its name, as it is written there. Another one keeps it
// where that is plain and tells the version. Else two versions may share it, and their
// order may differ from master to master: such a file is given the usual name.
func (w *rewriter) findSplice(url Span, number []byte) (sp splice, ok bool) {
	quoted := w.src[url.From:url.To]
	sp = splice{from: url.From + 1, to: url.To - 1}
	text, verbatim := quoted[1:len(quoted)-1], true
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var err error
		if text, err = jsontext.AppendUnquote(nil, quoted); err != nil {
			return sp, false
		}
		verbatim = false
	}
	text, _, _ = bytes.Cut(text, []byte("#"))
	from, to := basename(text)
	raw := text[from:to]
	file, scoped := w.decoded(raw)
	if file != nil && to == len(text) {
		if base, usual := bytes.CutSuffix(text[:from], w.usual); usual && w.inUsualPlace(base, text, raw, file, scoped, number) {
			w.tarball.file = append(w.tarball.file, file...)
			return w.keep(sp, raw, from, verbatim), true
		}
	}
	if !isPlace(text) {
		return sp, false
	}
	w.tarball.place = w.master.below(text)
	own := usualName(w.name[len(w.scope):], number)
	if plain(raw) && tells(raw, number) {
		w.tarball.file = append(w.tarball.file, raw...)
		sp = w.keep(sp, raw, from, verbatim)
	} else {
		w.tarball.file = append(w.tarball.file, own...)
		sp.base, sp.n = w.literal(string(own))
	}
	w.tarball.add(own)
	if file != nil {
		w.tarball.add(file)
		if w.scope != "" && !scoped && bytes.HasSuffix(text[:from], []byte("/-/"+w.scope)) {
			w.tarball.add(append([]byte(w.scope), file...)) // as a client may ask for it, see scopedTarballRoute
		}
	}
	return sp, true
}

// keep makes a splice that keeps the basename raw, which is at an offset of the text.
func (w *rewriter) keep(sp splice, raw []byte, at int, verbatim bool) splice {
	if verbatim {
		sp.base, sp.n = sp.from+at, len(raw)
	} else {
		sp.base, sp.n = w.literal(QuoteInner(string(raw)))
	}
	return sp
}

// inUsualPlace takes a file whose URL ends as that of a file in the usual place does.
// It is false for one whose name another file in the usual place of another base has.
func (w *rewriter) inUsualPlace(base, text, raw, file []byte, scoped bool, number []byte) bool {
	b := &w.bases
	if !b.known {
		b.known, b.text = true, string(base)
		b.url, b.own = w.master.base(base)
	}
	asked := raw // as a route has it
	if scoped {
		var found bool
		if asked, found = bytes.CutPrefix(raw, []byte(w.scope[:len(w.scope)-1]+"%2f")); !found {
			asked = nil
		}
	}
	if !plain(asked) || b.text != string(base) && !sameBase(b.text, string(base)) {
		w.tarball.place = w.master.below(text)
	}
	if tells(raw, number) {
		return true
	}
	if first, known := b.odd[string(file)]; known {
		if first == string(text) {
			return true // two versions have one file
		}
		w.tarball.place = nil
		return false
	}
	if b.odd == nil {
		b.odd = make(map[string]string)
	}
	b.odd[string(file)] = string(text)
	return true
}

// sameBase compares URLs. Old packuments say http where new ones say https: the host is
// one.
func sameBase(a, b string) bool {
	bare := func(s string) string {
		if after, ok := cutPrefixFold(s, "https:"); ok {
			return after
		}
		after, _ := cutPrefixFold(s, "http:")
		return after
	}
	return bare(a) == bare(b)
}

func cutPrefixFold(s, prefix string) (after string, ok bool) {
	if len(s) >= len(prefix) && bytes.EqualFold([]byte(s[:len(prefix)]), []byte(prefix)) {
		return s[len(prefix):], true
	}
	return s, false
}

// decoded is the percent-encoded basename of a URL, decoded, or nil for one that no
// tarball route has. scoped says that the package's scope is a part of it.
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

// isPlace says whether a text is the URL of something that can be fetched: one with http
// or https, or one that is relative to its registry's host.
func isPlace(text []byte) bool {
	if len(text) > maxPlace || len(text) == 0 {
		return false
	}
	u, err := neturl.Parse(string(text))
	if err != nil || u.Path == "" || u.Path == "/" && u.RawQuery == "" {
		return false
	}
	if u.Scheme == "" {
		return text[0] == '/' && (u.Host != "" || text[min(1, len(text)-1)] != '/' || len(text) == 1)
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// usualName is the name that most registries give to the tarball of a version. A
// version that cannot be a part of a name is put into it as a digest.
func usualName(base string, number []byte) []byte {
	if !plain(number) || len(base)+len(number) > MaxFile-len("-.tgz") {
		sum := sha256.Sum256(number)
		number = hex.AppendEncode(nil, sum[:8])
	}
	return append(append(append([]byte(base), '-'), number...), ".tgz"...)
}

// usualNameOf is the usual name of a tarball that a client was given under another one, by
// the packument of a master with another layout; "" for none. Names that tell the version
// are those of some layout: "1.0.0.tgz", "scope-name-1.0.0.tgz".
func usualNameOf(name, file string) string {
	stem, ok := strings.CutSuffix(file, ".tgz")
	if !ok {
		if stem, ok = strings.CutSuffix(file, ".tar.gz"); !ok {
			return ""
		}
	}
	scope, base, _ := strings.Cut(strings.TrimPrefix(name, "@"), "/")
	for _, prefix := range []string{scope + "-" + base + "-", base + "-", base + "_", base + "@", ""} {
		if number, ok := strings.CutPrefix(stem, prefix); ok {
			if usual := name[strings.IndexByte(name, '/')+1:] + "-" + strings.TrimPrefix(number, "v") + ".tgz"; usual != file {
				return usual
			}
		}
	}
	return ""
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
