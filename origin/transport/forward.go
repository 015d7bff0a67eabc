package transport

import (
	"net/http"
	"slices"
	"strings"
)

// A fetch is shared: one client's request makes the response that others get. So its
// fields must not be able to tell a master anything about the place of the resource, the
// way of the request, or the client (docs/decisions/0021). Three rules decide, in this order:
//
//   - the fields of selecting, which are made to choose a response, go forward;
//   - a name that is not letters, digits and hyphens does not, for CGI and its heirs read
//     X_Forwarded_Host as X-Forwarded-Host;
//   - nor does a name with one of the words of words in it, in any place.
//
// The rest goes forward: an origin may choose by any field that its Vary names.

// maxForwarded is the size of the fields, in bytes, that go to a master with a fetch. With
// more than servers usually take, one client could make a master answer with an error that
// others get.
const maxForwarded = 8 << 10

// Forward copies the fields of a client's request that go to a master with a
// fetch.
func Forward(to, from http.Header) {
	hop := connectionFields(from)
	for name, values := range from {
		if forwarded(name) && !slices.Contains(hop, name) {
			to[name] = values
		}
	}
}

// ForwardHops copies the fields that tell which way a client's request came: no hop may
// drop them, and they go to hosts that get nothing else of it.
func ForwardHops(to, from http.Header) {
	for _, name := range []string{"Via", "Cdn-Loop"} {
		if values := from[name]; len(values) > 0 {
			to[name] = values
		}
	}
}

// TooManyFields reports whether Forward would copy more than a master should get.
func TooManyFields(h http.Header) bool {
	all := func(string) bool { return true }
	return sizeOf(h, all) > maxForwarded && sizeOf(h, forwarded) > maxForwarded // hits have this on their way
}

// sizeOf is the size of some fields, in bytes.
func sizeOf(h http.Header, some func(name string) bool) (size int) {
	for name, values := range h {
		if !some(name) {
			continue
		}
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

// connectionFields lists the fields that the sender's Connection names: they
// concern that connection alone (RFC 9110 section 7.6.1).
func connectionFields(h http.Header) []string {
	var named []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			named = append(named, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return named
}

// forwarded says whether a field of the client's request goes to a master with a fetch.
func forwarded(name string) bool {
	return selecting(name) || plain(name) && !hasWord(name, words)
}

// selecting are the fields that responses are made by (RFC 9110 section 12.5), and those
// that the edge and caches behind it need. Origin is among the selecting fields of each
// response, see cache/policy.
func selecting(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "User-Agent", "Origin",
		"Authorization", "Cache-Control", "Pragma", "Via", "Cdn-Loop":
		return true
	}
	return false
}

// plain reports whether a name cannot be read as another one.
func plain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-')
	})
}

// words are the words of fields that do not go forward with a fetch. Conditions and ranges
// are the edge's own, as are the connection and its framing. A response made for the owner
// of a cookie has no place in a shared cache. The others tell a master where a resource is,
// by which way and from where a request came, that it is another request, or has content.
func words(word string) bool {
	switch word {
	case "If", "Range", "Connection", "Alive", "Te", "Trailer", "Transfer", "Upgrade", "Expect", "Max", "Cookie", "Cookie2", "Content",
		"Host", "Hostname", "Domain", "Port", "Scheme", "Proto", "Protocol", "Https", "Ssl", "Tls", "Cert", "Url", "Uri", "Path", "Pathinfo", "Query", "Prefix", "Script", "Base", "Root",
		"Forwarded", "Forward", "Via", "Proxy", "Server", "Backend", "Upstream", "Gateway", "Route", "Router", "Rewrite", "Redirect", "Destination", "Location", "Original", "Origin", "Wap",
		"Client", "Ip", "Ips", "Addr", "Address", "Remote", "Real", "Connecting", "Peer", "User", "Referer", "Referrer", "From", "Country", "Geo", "Sec", "Purpose", "Early",
		"Method", "Override", "Overwrite", "Action", "Depth", "Translate", "Http", "Surrogate", "Cdn", "Cf", "Cloudfront", "Fastly", "Akamai", "Fly", "Azure", "Debug":
		return true
	}
	return false
}

// Mislead says whether a field of a request that is passed could pretend a way that
// the request has not come, or another request. Nothing that is passed is stored, so
// that other fields are between the client and the master.
func Mislead(name string) bool {
	return !plain(name) || hasWord(name, func(word string) bool {
		switch word {
		case "Forwarded", "Proxy", "Override", "Rewrite", "Real", "Ip":
			return true
		}
		return false
	}) || name == "X-Host" || name == "X-Http-Method" || strings.HasPrefix(name, "X-Original-")
}

// hasWord reports whether one of the words of a canonical name, between hyphens, is one
// of a set.
func hasWord(name string, set func(word string) bool) bool {
	for word := range strings.SplitSeq(name, "-") {
		if set(word) {
			return true
		}
	}
	return false
}
