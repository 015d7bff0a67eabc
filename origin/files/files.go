package files

import (
	"net/http"

	"pkgedge/origin/kind"
)

// Kind treats every path as a file.
type Kind struct{}

// New returns the kind, which has no options.
func New(kind.Options) (kind.Kind, error) { return Kind{}, nil }

// Descriptor describes the kind.
func Descriptor() kind.Descriptor {
	return kind.Descriptor{
		Name:        "files",
		New:         New,
		Transparent: true,
		Defaults:    kind.Defaults{Metadata: kind.Heuristic, Files: kind.Heuristic, IfError: kind.Forever},
	}
}

// longest is the longest path and query, in bytes.
const longest = 8 << 10

// Route makes GET and HEAD cacheable under path and query as they were sent, and
// passes everything else to the primary. A successful unsafe request makes the
// response stored for its URL stale (RFC 9111 section 4.4).
//
// Slashes stay as they are: to an origin that nothing is known of, /a, /a/ and //a are
// three resources (RFC 3986 section 6.2.3), and a relative URL means another thing in each.
// A path that could lead above the root is refused, see faultOf.
func (Kind) Route(r kind.Request) kind.Route {
	query, ok := kind.CleanQuery(r.Query)
	path := r.Path
	if query != "" {
		path += "?" + query
	}
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return refuse("method", http.StatusMethodNotAllowed, "method not allowed")
	case len(path) > longest:
		return refuse("path", http.StatusRequestURITooLong, "the path is too long")
	case !ok:
		return refuse("path", http.StatusBadRequest, "the query has a byte that must be escaped")
	}
	if why := faultOf(r.Path); why != "" {
		return refuse("path", http.StatusBadRequest, why)
	}
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return kind.Route{Class: kind.File, Endpoint: "file", Key: path, Path: path, Transparent: true}
	case safe(r.Method):
		return kind.Route{Class: kind.PassPrimary, Endpoint: "pass", Path: path}
	}
	return kind.Route{Class: kind.PassPrimary, Endpoint: "write", Path: path, Invalidates: []kind.Invalidation{{Scope: kind.OneKey, Name: path}}}
}

func refuse(endpoint string, status int, why string) kind.Route {
	return kind.Route{Class: kind.Refuse, Endpoint: endpoint, Reply: kind.Reply{Status: status, Text: why}}
}

// safe: RFC 9110 section 9.2.1.
func safe(method string) bool {
	return method == http.MethodOptions
}

// Prepare, Lists and Digest have nothing to do: there is no metadata.
func (Kind) Prepare(_ kind.Route, _ kind.Source) ([]kind.Document, error) { return nil, nil }

// Lists says that no list of digests is known.
func (Kind) Lists(kind.Route) []kind.Route { return nil }

// Digest knows none.
func (Kind) Digest(kind.Route, []byte) (kind.Digest, bool) { return kind.Digest{}, false }
