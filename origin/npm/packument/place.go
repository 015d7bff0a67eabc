package packument

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	neturl "net/url"
	"strings"
)

// Registries keep tarballs where they like. A client is given <public base>/<name>/-/<file>
// all the same, and the summary says where that file is. See docs/decisions/0023. The usual
// place is in dist.go, all others are here.

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

// base is the place of the URL below which tarballs lie, as below gives it, where that is not
// the master's URL. own says that it is at the master.
func (m *master) base(text []byte) (url string, own bool) {
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

// placeElsewhere takes a file that is not in the usual place. ok is false for a text that is no
// URL, or that has no path.
//
// The file keeps its name where that is plain and tells the version. Else two versions may
// share it, and their order may differ from master to master: such a file is given the usual
// name.
func (w *rewriter) placeElsewhere(u *tarballURL, number []byte) (sp splice, ok bool) {
	if !isPlace(u.text) {
		return sp, false
	}
	w.tarball.place = w.master.below(u.text)
	own := usualName(w.name[len(w.scope):], number)
	if plain(u.raw) && tells(u.raw, number) {
		w.tarball.file = append(w.tarball.file, u.raw...)
		sp = w.keep(u)
	} else {
		w.tarball.file = append(w.tarball.file, own...)
		sp = splice{from: u.from, to: u.to}
		sp.base, sp.n = w.literal(string(own))
	}
	w.tarball.add(own)
	if u.file != nil {
		w.tarball.add(u.file)
		if w.scope != "" && !u.scoped && bytes.HasSuffix(u.text[:u.at], []byte("/-/"+w.scope)) {
			w.tarball.add(append([]byte(w.scope), u.file...)) // as a client may ask for it, see scopedTarballRoute
		}
	}
	return sp, true
}

// maxPlace is the longest URL of a tarball, in bytes, that is remembered.
const maxPlace = 4 << 10

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
