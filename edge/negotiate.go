package main

import (
	"net/http"
	"strconv"
	"strings"

	"pkgedge/cache"
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
	since := x.r.Header.Get("If-Modified-Since")
	if since == "" {
		return false
	}
	modified := h.Get("Last-Modified")
	if modified == "" {
		modified = h.Get("Date")
	}
	have, ok := cache.ParseDate(modified, x.start)
	limit, valid := cache.ParseDate(since, x.start)
	return ok && valid && !have.After(limit)
}

// matches compares entity-tags weakly (RFC 9110 section 8.8.3.2).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || etag != "" && strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
				return true
			}
		}
	}
	return false
}
