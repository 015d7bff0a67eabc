package main

import (
	"net/http"
	"strconv"
	"strings"

	"pkgedge/cache"
	"pkgedge/cache/policy"
)

// accepted reads Accept-Encoding (RFC 9110 section 12.5.3) down to the codings
// that variants are stored in.
func accepted(lines []string) cache.Encoding {
	var yes, no cache.Encoding
	var rest bool
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(member, ";")
			wanted := !zeroWeight(params)
			var e cache.Encoding
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				e = cache.Gzip
			case "zstd":
				e = cache.Zstd
			case "*":
				rest = rest || wanted
			}
			if wanted {
				yes |= e
			} else {
				no |= e
			}
		}
	}
	if rest { // "*" stands for every coding not named
		yes |= cache.Gzip
	}
	return yes &^ no
}

// zeroWeight: the coding is refused.
func zeroWeight(params string) bool {
	name, value, _ := strings.Cut(params, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return false
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q == 0
}

// conditionsOrigin: the request has a condition that only the origin may
// evaluate (RFC 9111 section 4.3.2).
func (x *exchange) conditionsOrigin() bool {
	return len(x.r.Header["If-Match"]) > 0 || len(x.r.Header["If-Unmodified-Since"]) > 0
}

// unchanged evaluates the request's preconditions against a stored 200 (RFC 9110
// section 13.2.2, RFC 9111 section 4.3.2) and says whether the client has it.
func (x *exchange) unchanged(a *cache.Answer) bool {
	if a.Status != http.StatusOK {
		return false
	}
	h := x.header()
	if lines := x.r.Header["If-None-Match"]; len(lines) > 0 {
		return matches(lines, h.Get("Etag")) // If-Modified-Since does not count beside it
	}
	lines := x.r.Header["If-Modified-Since"]
	if len(lines) != 1 {
		return false
	}
	modified := h.Get("Last-Modified")
	if modified == "" {
		modified = h.Get("Date")
	}
	have, ok := policy.ParseDate(modified, x.start)
	limit, valid := policy.ParseDate(lines[0], x.start)
	return ok && valid && !have.After(limit)
}

// matches says whether If-None-Match names etag, by the weak comparison (RFC 9110
// sections 8.8.3.2 and 13.1.2).
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
// quotes is part of a tag; a tag without quotes, which some origins send, ends
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
