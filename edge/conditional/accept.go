package conditional

import "strings"

// AsksForHTML reports whether a request names HTML among the media types that it accepts (RFC 9110
// section 12.5.1), as a browser does that opens a page. "*/*" does not count: it is sent by
// those that take anything.
func AsksForHTML(accept []string) bool {
	for _, line := range accept {
		for member := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(member, ";")
			if strings.EqualFold(strings.TrimSpace(name), "text/html") && !refused(params) {
				return true
			}
		}
	}
	return false
}

// refused reports whether one of a media type's parameters is a weight of zero.
func refused(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		if zeroWeight(param) {
			return true
		}
	}
	return false
}
