package npm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// Kind is the npm registry as one site offers it. It is safe for concurrent
// use.
type Kind struct {
	base   string // public base of the tarball URLs, escaped for a JSON string
	time   bool   // the abbreviated form has the times of the versions
	policy *policy
	suffix string // of the three, for the keys of the documents that depend on them
}

var _ kind.Kind = (*Kind)(nil)

// newKind returns the npm registry under a public base URL, to which the tarball
// URLs of packuments will point: an absolute URL without query, for example
// "https://h.example/registry". A trailing slash is dropped.
func newKind(publicBase string) *Kind {
	k := &Kind{base: packument.QuoteInner(strings.TrimRight(publicBase, "/"))}
	k.setSuffix()
	return k
}

// withTime returns the same registry with "time" in the abbreviated form of a
// packument, as the full form has it. That is not of the format, but some
// registries have it, and pnpm then does without the full form.
func (k *Kind) withTime() *Kind {
	own := *k
	own.time = true
	own.setSuffix()
	return &own
}

// suffixByte begins the end of the key of a stored response that depends on
// more than its name. No file name has that byte.
const suffixByte = "\x01"

// documents counts the ways in which packuments have been prepared. It grows when
// another document comes of the same packument.
const documents = 2

// setSuffix names the options in the keys of packuments. The stored documents are
// ready to be served and depend on the options, and a master that answers 304 would
// confirm them for ever. A document that was stored under another configuration is
// not served until that comes back.
func (k *Kind) setSuffix() {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%t\n%s", documents, k.base, k.time, k.policy.minimumAge()))
	if k.policy.minimumAge() > 0 { // then documents have reasons in them, too
		sum = sha256.Sum256(fmt.Appendf(sum[:], "2 %s", k.policy.exemptions))
	}
	k.suffix = suffixByte + hex.EncodeToString(sum[:8])
}

// Endpoints as Route names them in Route.Endpoint. Those that Prepare or Lists
// know are constants; the others are written where they are routed.
const (
	endpointPackument    = "packument"
	endpointVersion      = "version"
	endpointTarball      = "tarball"
	endpointDistTags     = "dist-tags"
	endpointLogin        = "login"
	endpointKeys         = "keys"
	endpointAttestations = "attestations"
)

// Route names the thing that a request asks for. The query of a cacheable request is
// dropped, except that metadata asked with "write" goes to the primary: the
// client will put that very document back. A stranger cannot, and sees no release that
// the policy hides.
//
// The words of Route.Endpoint are: packument, version, tarball, dist-tags, keys,
// attestations, search, audit, ping, root, all, changes, publish, update,
// unpublish, access, package, whoami, login, logout, tokens, user, org, team,
// hooks, oidc, trust, stage, view, other and invalid.
func (k *Kind) Route(r kind.Request) kind.Route {
	route := k.route(r)
	if k.policy != nil {
		k.policy.apply(&route)
	}
	return route
}

func (k *Kind) route(r kind.Request) kind.Route {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost,
		http.MethodDelete, http.MethodPatch, http.MethodOptions:
	default:
		return refuse(r, fault{http.StatusMethodNotAllowed, "this method is not offered"})
	}
	r.Path = plainPath(r.Path)
	if f := checkPath(r.Path); f != (fault{}) {
		return refuse(r, f)
	}
	if r.Path == "/" {
		if !isRead(r.Method) {
			return refuse(r, fault{http.StatusMethodNotAllowed, "the root can only be read"})
		}
		return emptyObject("root")
	}
	first, rest := cutSegment(r.Path[1:])
	switch first = unescape(first); {
	case first == "-" && rest != "" && !strings.HasPrefix(rest, "/-/"):
		return k.endpoint(r, rest)
	case first == "_changes", first == "registry" && rest == "/_changes":
		return off("changes", "the change feed is not offered here")
	}
	n, rest, ok := cutName(r.Path[1:])
	if !ok {
		return refuse(r, fault{http.StatusNotFound, "no package can have this name"})
	}
	return k.packageRoute(r, n, rest)
}

// packageRoute routes the paths at and below that of a package. The rest is
// raw; it is empty or starts with a slash.
func (k *Kind) packageRoute(r kind.Request, n name, rest string) kind.Route {
	if rest == "" {
		switch {
		case isRead(r.Method) && (!hasParameter(r.Query, "write") || len(r.Header["Authorization"]) == 0 && k.policy.hides(n.String())):
			return k.packumentRoute(n, packumentVariant(r.Header["Accept"]))
		case isRead(r.Method):
			return passPackage(r, endpointPackument, n, rest)
		case r.Method == http.MethodPut:
			return passPackage(r, "publish", n, rest, metadataOf(n))
		}
		return passPackage(r, "package", n, rest, writes(r.Method, everythingOf(n))...)
	}
	if strings.Contains(rest, "%25") {
		return refuse(r, fault{http.StatusBadRequest, "the path is escaped twice"})
	}
	first, after := cutSegment(rest[1:])
	second, after2 := "", ""
	if after != "" {
		second, after2 = cutSegment(after[1:])
	}
	first, second = unescape(first), unescape(second)
	switch {
	case isRead(r.Method) && max(len(first), len(second)) > packument.MaxFile:
		return refuse(r, fault{http.StatusRequestURITooLong, "the file name, version or tag is too long"})
	case isRead(r.Method) && after == "" && first[0] != '-' && packument.FileName(first):
		if hasParameter(r.Query, "write") {
			return passPackage(r, endpointVersion, n, rest)
		}
		return k.versionRoute(n, first)
	case isRead(r.Method) && first == "-" && after != "" && after2 == "" && packument.FileName(second):
		return tarballRoute(n, second)
	case isRead(r.Method) && first == "-" && after != "" && scopedFile(n, after[1:]) != "":
		return scopedTarballRoute(n, after[1:])
	case first == "-rev" && after != "" && after2 == "" && r.Method == http.MethodPut:
		return passPackage(r, "update", n, rest, metadataOf(n))
	case first == "-rev" && after != "" && after2 == "" && r.Method == http.MethodDelete:
		return passPackage(r, "unpublish", n, rest, everythingOf(n))
	case first == "-" && packument.FileName(second) && isRevision(after2) && r.Method == http.MethodDelete:
		return passPackage(r, "unpublish", n, rest, append(tarballsNamed(n, second), metadataOf(n))...)
	}
	return passPackage(r, "package", n, rest, writes(r.Method, everythingOf(n))...)
}

// isRevision reports whether a raw path is "/-rev/REV".
func isRevision(path string) bool {
	revision, ok := strings.CutPrefix(path, "/-rev/")
	return ok && strings.IndexByte(revision, '/') < 0
}

// packumentRoute makes key and path in one allocation, as do the two below:
// these are on the path of every hit.
func (k *Kind) packumentRoute(n name, variant string) kind.Route {
	var s string
	if n.scope == "" {
		s = "packument/" + n.base + k.suffix + "/" + n.base
	} else {
		s = "packument/" + n.scope + "/" + n.base + k.suffix + "/" + n.scope + "%2f" + n.base
	}
	r := split(s, endpointPackument, n, len(k.suffix))
	r.Variant, r.InFeed = variant, true
	return r
}

// versionRoute is a subdocument of the full packument, even for a client that
// accepts the abbreviated one.
func (k *Kind) versionRoute(n name, v string) kind.Route {
	r := k.packumentRoute(n, packument.Full)
	r.Endpoint = endpointVersion
	r.Subdocument = kind.Subdocument{Name: packument.SubdocumentOf(v), Missing: "version not found: " + v, Withheld: packument.WithheldOf(v)}
	return r
}

// probePath is the newest version's document of a packument: it comes from where
// the packument does, is shorter, and is not mistaken for a second fetch of the
// packument in a count of a master's requests.
func probePath(r kind.Route) string {
	if r.Class != kind.Metadata || r.Endpoint != endpointPackument {
		return ""
	}
	return r.Path + "/latest"
}

// split cuts a key and the path that follows it out of one string. The key is
// "endpoint/name" and the bytes of the rest.
func split(s, what string, n name, rest int) kind.Route {
	group := len(what) + 1
	end := group + len(n.base)
	if n.scope != "" {
		end += len(n.scope) + 1
	}
	key := end + rest
	return kind.Route{
		Class:    kind.Metadata,
		Endpoint: what,
		Key:      s[:key],
		Group:    s[group:end],
		Scope:    n.scopeKey(),
		Path:     s[key:],
	}
}

// groupOf is the package in a key: of "endpoint/name", and of more path after the name. A key
// without a name, such as that of the signing keys, has none.
func groupOf(key string) string {
	key, _, _ = strings.Cut(key, "\x01") // the form of a packument, see Options
	endpoint, rest, _ := strings.Cut(key, "/")
	if endpoint == endpointAttestations {
		rest = rest[:max(0, strings.LastIndexByte(rest, '@'))]
	}
	scope, base := "", rest
	if strings.HasPrefix(rest, "@") {
		scope, base, _ = strings.Cut(rest, "/")
		scope += "/"
	}
	base, _, _ = strings.Cut(base, "/")
	return scope + base
}

func passPackage(r kind.Request, what string, n name, rest string, touches ...kind.Invalidation) kind.Route {
	return ofPackage(pass(r, kind.PassPrimary, what, packagePath(n, rest)), n, touches)
}

// ofPackage says which package a request that passes is about.
func ofPackage(r kind.Route, n name, touches []kind.Invalidation) kind.Route {
	if r.Class == kind.PassPrimary {
		r.Group, r.Invalidates = n.String(), touches
		own := n.scopeKey()
		beyond := strings.Replace(strings.Replace(r.Path, n.escaped(), "", 1), n.String(), "", 1)
		r.Scope, r.OtherScopes = own, slices.DeleteFunc(mentioned(beyond), func(s string) bool { return s == own })
		r.Strips = false // a published manifest names its dependencies
	}
	return r
}

// packagePath is the path for a master below a package. A path with "/-/" in it
// is written as tarball URLs are, with the name unescaped.
func packagePath(n name, rest string) string {
	if strings.HasPrefix(rest, "/-/") {
		return "/" + n.String() + canonical(rest)
	}
	return "/" + n.escaped() + canonical(rest)
}

// pass sends a request on, with its query.
func pass(r kind.Request, class kind.Class, what, path string) kind.Route {
	query, ok := kind.CleanQuery(r.Query)
	if !ok {
		return refuse(r, fault{http.StatusBadRequest, "the query has a byte that must be escaped"})
	}
	if query != "" {
		path += "?" + query
	}
	route := kind.Route{Class: class, Endpoint: what, Path: path, Links: linksOf(what)}
	if scopes := mentioned(path); len(scopes) > 0 {
		route.Scope, route.OtherScopes = scopes[0], scopes[1:]
	}
	return route
}

// linksOf are the URLs that clients follow in the responses of an endpoint. Any request
// to the primary may be answered 401 with two: authUrl, for a browser, and doneUrl, which
// the client asks until the person there is done. A login has doneUrl too.
func linksOf(endpoint string) []string {
	switch endpoint {
	case "audit", "search": // no client follows a URL in one
		return nil
	case "tokens":
		return listLinks
	}
	return doneLinks
}

var (
	doneLinks = []string{"/doneUrl"}
	listLinks = []string{"/doneUrl", "/urls/next", "/urls/prev"}
)

func refuse(r kind.Request, f fault) kind.Route {
	return kind.Route{
		Class:    kind.Refuse,
		Endpoint: "invalid",
		Reply:    kind.Reply{Status: f.status, ContentType: "text/plain; charset=utf-8", Text: f.reason},
		Log:      redact(r.Path),
	}
}

func off(what, reason string) kind.Route {
	return kind.Route{
		Class:    kind.Off,
		Endpoint: what,
		Reply:    kind.Reply{Status: http.StatusNotFound, ContentType: "text/plain; charset=utf-8", Text: reason},
	}
}

func emptyObject(what string) kind.Route {
	return kind.Route{
		Class:    kind.Local,
		Endpoint: what,
		Reply:    kind.Reply{Status: http.StatusOK, ContentType: packument.TypeJSON, Text: "{}"},
	}
}

func metadataOf(n name) kind.Invalidation {
	return kind.Invalidation{Scope: kind.GroupMetadata, Name: n.String()}
}

func everythingOf(n name) kind.Invalidation {
	return kind.Invalidation{Scope: kind.GroupAll, Name: n.String()}
}

// writes returns the mark if the method can change something.
func writes(method string, m kind.Invalidation) []kind.Invalidation {
	switch method {
	case http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPatch:
		return []kind.Invalidation{m}
	}
	return nil
}

func isRead(method string) bool {
	return method == http.MethodGet || method == http.MethodHead
}
