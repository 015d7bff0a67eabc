package cache

import (
	"net/http"
	"slices"
	"strings"
)

// varyAny: Vary names "*", so that no request ever selects the response again.
func varyAny(h http.Header) bool {
	for _, line := range h["Vary"] {
		if containsToken(line, "*") {
			return true
		}
	}
	return false
}

// varyOf returns the selecting fields a response names, each with its
// normalised value in the request that caused it, alternating, sorted by name.
func varyOf(response, request http.Header) []string {
	var names []string
	for _, line := range response["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, http.CanonicalHeaderKey(name))
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	names = slices.Compact(names)
	out := make([]string, 0, 2*len(names))
	for _, name := range names {
		out = append(out, name, selecting(name, request[name]))
	}
	return out
}

// selects says whether a request selects the response (RFC 9111 section 4.1).
func selects(vary []string, request http.Header) bool {
	for i := 0; i < len(vary); i += 2 {
		if selecting(vary[i], request[vary[i]]) != vary[i+1] {
			return false
		}
	}
	return true
}

// selecting normalises a selecting field: lines joined, white space around
// members removed, and for the fields whose members have no order, or only that
// of their weights, sorted and in lower case. An absent field differs from an
// empty one.
func selecting(name string, lines []string) string {
	if len(lines) == 0 {
		return "\x00"
	}
	var members []string
	for _, line := range lines {
		for m := range strings.SplitSeq(line, ",") {
			if m = strings.TrimSpace(m); m != "" {
				members = append(members, m)
			}
		}
	}
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Accept-Charset":
		for i, m := range members {
			m = strings.ReplaceAll(m, " ", "")
			m = strings.ReplaceAll(m, "\t", "")
			members[i] = strings.ToLower(m)
		}
		slices.Sort(members)
		members = slices.Compact(members)
	}
	return strings.Join(members, ",")
}

// varyKey names the place of one of several responses stored for a key.
func varyKey(id string, vary []string) string {
	return id + "\x00" + strings.Join(vary, "\x00")
}
