package policy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// varyAny says whether Vary has the member "*". Then no request selects the
// response.
func varyAny(h http.Header) bool {
	for _, line := range h["Vary"] {
		if containsToken(line, "*") {
			return true
		}
	}
	return false
}

// origin is a selecting field of each response to a request that has it. Masters answer
// with it in Access-Control-Allow-Origin, and some of them do not say so in Vary: one page
// must not have the permission of another, nor lose its own.
const origin = "Origin"

// varyOf returns the selecting fields of a response, those named besides it too, sorted by
// name. Each name is followed by the field's normalised value in the request that caused the
// response.
func varyOf(response, request http.Header, names ...string) []string {
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

// Selects says whether a request selects the response: its selecting fields are
// equal once normalised. A response in the language that the request likes best
// is selected too, as the origin would send it.
func (r *Response) Selects(request http.Header) bool {
	for i := 0; i < len(r.Vary); i += 2 {
		name := r.Vary[i]
		if selecting(name, request[name]) == r.Vary[i+1] {
			continue
		}
		if have := r.Header.Get("Content-Language"); name == "Accept-Language" && have != "" && strings.EqualFold(have, bestLanguage(request[name])) {
			continue
		}
		return false
	}
	return true
}

// bestLanguage is the language with the highest weight, in lower case. Where
// several share that weight, or one cannot be read, it is "-", which is no
// language.
func bestLanguage(lines []string) string {
	best, weight := "-", 0.0
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			lang, params, _ := strings.Cut(member, ";")
			q := 1.0
			if v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
				var err error
				if q, err = strconv.ParseFloat(v, 64); err != nil {
					return "-"
				}
			}
			switch lang = strings.ToLower(strings.TrimSpace(lang)); {
			case q > weight:
				best, weight = lang, q
			case q == weight && lang != best:
				best = "-"
			}
		}
	}
	return best
}

// selecting normalises a selecting field as section 4.1 allows: lines are joined,
// and white space around members is removed. In the Accept fields the order and
// the case of members mean nothing, so that they are sorted and in lower case. An
// absent field is not an empty one.
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

// VaryKey names one of several responses that are stored for the key id: the
// response to a request that does not select r, under the same Vary.
func (r *Response) VaryKey(id string, request http.Header) string {
	var names []string
	for i := 0; i < len(r.Vary); i += 2 {
		if r.Vary[i] == origin {
			names = []string{origin}
		}
	}
	return varyKey(id, varyOf(r.Header, request, names...))
}

func varyKey(id string, vary []string) string {
	return id + "\x00" + strings.Join(vary, "\x00")
}
