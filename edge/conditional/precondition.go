package conditional

import (
	"net/http"
	"strings"
	"time"

	"pkgedge/cache/policy"
)

// ForOrigin reports whether a request has a precondition that only the origin
// may evaluate (RFC 9111 section 4.3.2).
func ForOrigin(request http.Header) bool {
	return len(request["If-Match"]) > 0 || len(request["If-Unmodified-Since"]) > 0
}

// NotModified evaluates a request's preconditions against the fields of a stored
// 200 (RFC 9110 section 13.2.2, RFC 9111 section 4.3.2), which was received at a time. It
// reports whether the client has that representation already.
//
// A Last-Modified that is weak (RFC 9110 section 8.8.2.2) may be that of another
// representation which the client has. Then only a later date will do.
func NotModified(request, response http.Header, received time.Time) bool {
	if lines := request["If-None-Match"]; len(lines) > 0 {
		return matches(lines, response.Get("Etag")) // If-Modified-Since does not count beside it
	}
	lines := request["If-Modified-Since"]
	if len(lines) != 1 {
		return false
	}
	modified, sure := response.Get("Last-Modified"), true
	if modified == "" {
		modified = response.Get("Date")
	} else {
		sure = policy.StrongDate(response, received)
	}
	stored, ok := policy.ParseDate(modified, received)
	limit, valid := policy.ParseDate(lines[0], received)
	return ok && valid && !stored.After(limit) && (sure || limit.After(stored))
}

// matches reports whether If-None-Match names etag, by the weak comparison (RFC
// 9110 sections 8.8.3.2 and 13.1.2).
func matches(lines []string, etag string) bool {
	if len(lines) == 1 && strings.TrimSpace(lines[0]) == "*" {
		return true
	}
	if etag == "" {
		return false
	}
	opaque := strings.TrimPrefix(etag, "W/")
	for _, line := range lines {
		for line != "" {
			var tag string
			tag, line = nextTag(line)
			if tag != "" && strings.TrimPrefix(tag, "W/") == opaque {
				return true
			}
		}
	}
	return false
}

// nextTag cuts the first member off a list of entity-tags. A comma between
// quotes is part of a tag. A tag without quotes, which some origins send, ends
// at a comma.
func nextTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, " \t,")
	end := 0
	if open := strings.TrimPrefix(list, "W/"); strings.HasPrefix(open, `"`) {
		if n := strings.IndexByte(open[1:], '"'); n >= 0 {
			end = len(list) - len(open) + n + 2
		}
	}
	if n := strings.IndexByte(list[end:], ','); n >= 0 {
		return strings.TrimRight(list[:end+n], " \t"), list[end+n+1:]
	}
	return strings.TrimRight(list, " \t"), ""
}
