package dist

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pkgedge/origin/kind"
)

// Kind is a release tree. It is safe for concurrent use.
type Kind struct{}

var _ kind.Kind = Kind{}

// New returns the kind, which has no options.
func New(kind.Options) (kind.Kind, error) { return Kind{}, nil }

// Descriptor describes the kind.
func Descriptor() kind.Descriptor {
	return kind.Descriptor{
		GroupOf:     groupOf,
		Name:        "dist",
		New:         New,
		OneLifetime: true,
		Defaults: kind.Defaults{
			Metadata: 5 * time.Minute, Files: 8760 * time.Hour, Missing: 10 * time.Second,
			WhileRevalidate: 24 * time.Hour, IfError: kind.Forever, StaleOverride: true,
		},
		Clients: func(base string) []kind.Client {
			return []kind.Client{
				{Name: "nvm", Where: "in the environment", Lines: "NVM_NODEJS_ORG_MIRROR=" + base},
				{Name: "fnm", Where: "in the environment", Lines: "FNM_NODE_DIST_MIRROR=" + base},
				{Name: "n", Where: "in the environment", Lines: "N_NODE_MIRROR=" + base},
				{Name: "node-gyp", Where: "in the environment", Lines: "npm_config_disturl=" + base},
				{Name: "pnpm env", Where: ".npmrc", Lines: "node-mirror:release=" + base + "/"},
			}
		},
	}
}

// Endpoints of routes.
const (
	index   = "index"
	shasums = "shasums"
	listing = "listing"
	file    = "artifact" // "file" is what a files site has
)

// longest is the longest path, in bytes.
const longest = 2 << 10

// Route names the thing that a request asks for. The query is dropped; only reads are
// offered.
func (Kind) Route(r kind.Request) kind.Route {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return refuse(http.StatusMethodNotAllowed, "a release tree can only be read")
	}
	if len(r.Path) > longest {
		return refuse(http.StatusRequestURITooLong, "the path is too long")
	}
	segments, why := split(r.Path)
	if why != "" {
		return refuse(http.StatusBadRequest, why)
	}
	path := join(segments)
	name := segments[len(segments)-1]
	route := kind.Route{Class: kind.File, Endpoint: file, Key: strings.Join(segments, "/"), Path: path, Moving: true}
	inRelease := isRelease(segments[0])
	if inRelease {
		route.Group = segments[0]
	}
	metadata := func(what string) kind.Route {
		route.Class, route.Endpoint = kind.Metadata, what
		return route
	}
	switch {
	case name == "":
		route.Key = "listing/" + route.Key
		return metadata(listing)
	case len(segments) == 1 && (inRelease || strings.HasPrefix(name, "latest")):
		return kind.Route{Class: kind.PassAny, Endpoint: listing, Path: path} // redirects to the name with a slash
	case len(segments) == 1 && (name == "index.json" || name == "index.tab"):
		return metadata(index)
	case len(segments) == 2 && listOf(name) != "":
		return listRoute(segments[0], listOf(name), name)
	}
	route.Moving = !inRelease
	return route
}

func refuse(status int, why string) kind.Route {
	return kind.Route{Class: kind.Refuse, Endpoint: "invalid", Reply: kind.Reply{Status: status, ContentType: "text/plain; charset=utf-8", Text: why}}
}

// split decodes a path into segments. Slashes in a row are one. The last segment is
// empty after a final slash, which names a directory: behind the name of a file it says
// nothing.
func split(path string) (segments []string, why string) {
	if path == "" || path[0] != '/' {
		return nil, "the path must start with a slash"
	}
	segments = strings.Split(kind.JoinSlashes(path)[1:], "/")
	for i, raw := range segments {
		s, err := url.PathUnescape(raw)
		switch {
		case err != nil:
			return nil, "the path has a broken percent escape"
		case s == "." || s == "..":
			return nil, "the path has a dot segment"
		case strings.ContainsAny(s, "/\\%?#;"):
			return nil, "the path has a character that no release has"
		case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, "the path has a control byte or is not UTF-8"
		}
		segments[i] = s
	}
	if n := len(segments) - 1; n > 0 && segments[n] == "" && isFile(segments[:n]) {
		segments = segments[:n]
	}
	return segments, ""
}

// isFile says whether a path names a file, by its extension: letters and digits, one
// letter at least, behind a dot. The directories of releases have dots in their names,
// too: "v20.1.0", "latest-v20.x".
func isFile(segments []string) bool {
	name := segments[len(segments)-1]
	if len(segments) == 1 && (name[0] == 'v' || strings.HasPrefix(name, "latest")) {
		return false
	}
	extension := name[strings.LastIndexByte(name, '.')+1:]
	alphanumeric := func(r rune) bool { return isLetter(r) || '0' <= r && r <= '9' }
	return len(extension) < len(name) && strings.ContainsFunc(extension, isLetter) &&
		!strings.ContainsFunc(extension, func(r rune) bool { return !alphanumeric(r) })
}

func isLetter(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' }

// join writes segments as a path.
func join(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// groupOf is the release that a key lies in, as Route has it.
func groupOf(key string) string {
	first, _, inside := strings.Cut(strings.TrimPrefix(key, "listing/"), "/")
	if !inside || !isRelease(first) {
		return ""
	}
	return first
}

// isRelease: "v" and three numbers, and maybe a prerelease: "v20.1.0", "v6.0.0-rc.1".
func isRelease(s string) bool {
	rest, ok := strings.CutPrefix(s, "v")
	if !ok {
		return false
	}
	for i := range 3 {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 {
			return false
		}
		rest = rest[digits:]
		if i < 2 {
			if rest, ok = strings.CutPrefix(rest, "."); !ok {
				return false
			}
		}
	}
	return rest == "" || rest[0] == '-' || rest[0] == '+'
}

// Names of the lists of digests, the strongest first.
const (
	sha256List = "SHASUMS256.txt"
	sha1List   = "SHASUMS.txt"
)

// signatures are the endings of the companions of a list.
var signatures = [...]string{".asc", ".sig", ".gpg"}

// listOf returns the list that a name is, or is a signature of; "" for neither.
func listOf(name string) string {
	for _, list := range []string{sha256List, sha1List} {
		ending, ok := strings.CutPrefix(name, list)
		if ok && (ending == "" || slices.Contains(signatures[:], ending)) {
			return list
		}
	}
	return ""
}

// listRoute asks for a list with its signatures, and wants one of them.
func listRoute(dir, list, name string) kind.Route {
	r := kind.Route{
		Class: kind.Metadata, Endpoint: shasums, Key: dir + "/" + list, Path: join([]string{dir, list}), Moving: true,
		Subdocument: kind.Subdocument{Name: "part/" + name, ContentType: typeOf(name), Missing: "there is no " + name + " here"},
	}
	if isRelease(dir) {
		r.Group, r.Settles = dir, true
	}
	for _, ending := range signatures {
		r.Companions = append(r.Companions, r.Path+ending)
	}
	return r
}

func typeOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".asc"):
		return "application/pgp-signature"
	case strings.HasSuffix(name, ".txt"):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// Lists returns the lists of a file's directory: a release, or one that moves.
func (Kind) Lists(f kind.Route) []kind.Route {
	if f.Class != kind.File || f.Endpoint != file {
		return nil
	}
	dir, _, ok := strings.Cut(f.Key, "/")
	if !ok || !isRelease(dir) && !strings.HasPrefix(dir, "latest") {
		return nil
	}
	var lists []kind.Route
	for _, name := range []string{sha256List, sha1List} {
		r := listRoute(dir, name, name)
		r.Variant = kind.Summary
		lists = append(lists, r)
	}
	return lists
}

// Digest finds a file in the summary of its list.
func (Kind) Digest(f kind.Route, summary []byte) (kind.Digest, bool) {
	_, name, ok := strings.Cut(f.Key, "/")
	if !ok || f.Endpoint != file {
		return kind.Digest{}, false
	}
	lines, ok := kind.Lines(summary, summaryFormat)
	if !ok {
		return kind.Digest{}, false
	}
	text, ok := kind.Find(lines, "file/"+name)
	sum, err := hex.DecodeString(string(text))
	if !ok || err != nil {
		return kind.Digest{}, false
	}
	switch len(sum) {
	case 32:
		return kind.Digest{Algorithm: "sha256", Sum: sum}, true
	case 20:
		return kind.Digest{Algorithm: "sha1", Sum: sum}, true
	}
	return kind.Digest{}, false
}
