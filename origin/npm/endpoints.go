package npm

import (
	"net/http"
	"strings"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// endpoint routes the paths below "/-". The path is raw and starts with a
// slash; below here it is canonical, so that an escaped spelling of an endpoint
// is that endpoint. An unknown endpoint passes to the primary.
func (k *Kind) endpoint(r kind.Request, path string) kind.Route {
	path = canonical(path)
	first, rest := cutSegment(path[1:])
	read := isRead(r.Method)
	switch first {
	case "ping":
		if read && rest == "" {
			return emptyObject("ping")
		}
	case "all":
		return off("all", "the list of all packages is not offered here; use search")
	case "package":
		return k.packageEndpoint(r, path, rest)
	case "npm":
		if v1, ok := strings.CutPrefix(rest, "/v1/"); ok {
			return npmEndpoint(r, path, "/"+v1)
		}
	case "user":
		return userEndpoint(r, path, rest)
	case "v1":
		second, after := "", ""
		if rest != "" {
			second, after = cutSegment(rest[1:])
		}
		switch {
		case second == "search" && after == "" && read:
			return pass(r, kind.PassAny, "search", "/-"+path)
		case second == "login" || second == "done":
			return secret(passEndpoint(r, endpointLogin, path), "/-/v1/"+second)
		}
	case "whoami":
		return ofOwnAccount(passEndpoint(r, first, path))
	case "stage":
		return passEndpoint(r, first, path)
	case "org", "team":
		return ofAccount(passEndpoint(r, first, path), rest)
	case "_view":
		return passEndpoint(r, "view", path)
	}
	return passEndpoint(r, "other", path)
}

// npmEndpoint routes the paths below "/-/npm/v1".
func npmEndpoint(r kind.Request, path, rest string) kind.Route {
	first, rest := cutSegment(rest[1:])
	switch first {
	case "keys":
		if isRead(r.Method) && rest == "" {
			return kind.Route{
				Class: kind.Metadata, Endpoint: endpointKeys,
				Key: endpointKeys, Path: "/-/npm/v1/keys",
			}
		}
	case "attestations":
		if spec, ok := strings.CutPrefix(rest, "/"); ok && isRead(r.Method) {
			if n, v, ok := parseSpec(unescape(spec)); ok {
				return attestationsRoute(n, v)
			}
		}
	case "security":
		switch rest {
		case "/advisories/bulk", "/audits", "/audits/quick":
			if r.Method == http.MethodPost {
				r.Query = "" // it means nothing, and might name a scope
				route := pass(r, kind.PassAny, "audit", "/-"+path)
				route.Strips = true
				return route
			}
		}
		return passEndpoint(r, "audit", path)
	case "tokens":
		if rest == "" {
			return ofOwnAccount(passEndpoint(r, "tokens", path))
		}
		return secret(passEndpoint(r, "tokens", path), "/-/npm/v1/tokens/***")
	case "user":
		return ofOwnAccount(passEndpoint(r, "user", path))
	case "hooks", "oidc":
		return passEndpoint(r, first, path)
	}
	return passEndpoint(r, "other", path)
}

// parseSpec reads a decoded "name@version".
func parseSpec(s string) (n name, v string, ok bool) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || !packument.FileName(s[i+1:]) {
		return name{}, "", false
	}
	n, ok = parseName(s[:i])
	return n, s[i+1:], ok
}

func attestationsRoute(n name, v string) kind.Route {
	key := endpointAttestations + "/" + n.String() + "@" + v
	return kind.Route{
		Class:    kind.Metadata,
		Endpoint: endpointAttestations,
		Key:      key,
		Group:    key[len(endpointAttestations)+1 : len(key)-len(v)-1],
		Scope:    n.scopeKey(),
		Path:     "/-/npm/v1/attestations/" + n.escaped() + "@" + escape(v),
	}
}

// packageEndpoint routes the paths below "/-/package".
func (k *Kind) packageEndpoint(r kind.Request, path, rest string) kind.Route {
	if rest == "" {
		return passEndpoint(r, "package", path)
	}
	n, rest, ok := cutName(rest[1:])
	if !ok || rest == "" {
		return passEndpoint(r, "package", path)
	}
	first, after := cutSegment(rest[1:])
	var touches []kind.Invalidation
	what := "package"
	switch first {
	case "dist-tags":
		if isRead(r.Method) && after == "" && !hasParameter(r.Query, "write") {
			return k.distTagsRoute(n)
		}
		what, touches = endpointDistTags, writes(r.Method, metadataOf(n))
	case "access", "visibility":
		what, touches = "access", writes(r.Method, everythingOf(n))
	case "collaborators":
		what = "access"
	case "trust":
		what = "trust"
	}
	return ofPackage(pass(r, kind.PassPrimary, what, "/-/package/"+n.escaped()+rest), n, touches)
}

func (k *Kind) distTagsRoute(n name) kind.Route {
	r := k.packumentRoute(n, packument.Full)
	r.Endpoint = endpointDistTags
	r.Subdocument = kind.Subdocument{Name: packument.SubdocumentOfTags, Missing: "this package has no dist-tags"}
	return r
}

// userEndpoint routes the paths below "/-/user". Logout has its token in the
// path.
func userEndpoint(r kind.Request, path, rest string) kind.Route {
	if rest == "" {
		return passEndpoint(r, "user", path)
	}
	switch first, _ := cutSegment(rest[1:]); {
	case first == "token":
		return secret(passEndpoint(r, "logout", path), "/-/user/token/***")
	case strings.HasPrefix(first, "org.couchdb.user:"):
		return ofOwnAccount(passEndpoint(r, endpointLogin, path))
	}
	return ofAccount(passEndpoint(r, "user", path), rest) // the packages of a user, or of an organization
}

// passEndpoint passes a request whose path is not about one package. Its body may
// be.
func passEndpoint(r kind.Request, what, path string) kind.Route {
	route := pass(r, kind.PassPrimary, what, "/-"+path)
	if route.Class == kind.PassPrimary && !isRead(r.Method) {
		route.Strips = true
	}
	return route
}

// secret hides a path that holds a token, or whose query does, from the logs.
func secret(r kind.Route, log string) kind.Route {
	r.Log = log
	return ofOwnAccount(r)
}

// redact is the path of a refused request for the logs: all behind the word
// "token" is hidden, and "" means that there is nothing to hide.
func redact(path string) string {
	const word = "token"
	for i := 0; i+len(word) <= len(path); i++ {
		if strings.EqualFold(path[i:i+len(word)], word) {
			return path[:i+len(word)] + "***"
		}
	}
	return ""
}
