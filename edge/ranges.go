package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"pkgedge/cache"
)

// byteRange is one satisfiable range; of length 0, one that cannot be.
type byteRange struct{ start, length int64 }

// content is the Content-Range of r in a representation of size bytes.
func (r byteRange) content(size int64) string {
	return "bytes " + strconv.FormatInt(r.start, 10) + "-" + strconv.FormatInt(r.start+r.length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// byteRange reads the request's Range (RFC 9110 section 14.2). ok is false when
// there is none that counts: several ranges, another unit or a malformed one
// are answered with the whole, as the RFC allows.
func (x *exchange) byteRange(a *cache.Answer) (byteRange, bool) {
	lines := x.r.Header["Range"]
	if len(lines) != 1 || x.r.Method != http.MethodGet || !x.ifRange() {
		return byteRange{}, false
	}
	return parseRange(lines[0], a.Part.Size)
}

// ifRange: RFC 9110 section 13.1.5. Only a strong validator will do.
func (x *exchange) ifRange() bool {
	v := x.r.Header.Get("If-Range")
	switch {
	case v == "":
		return true
	case strings.HasPrefix(v, `"`):
		return v == x.header().Get("Etag")
	case strings.HasPrefix(v, "W/"):
		return false
	}
	return v == x.header().Get("Last-Modified")
}

func parseRange(s string, size int64) (byteRange, bool) {
	unit, spec, ok := strings.Cut(s, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(spec, ",") {
		return byteRange{}, false
	}
	from, to, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return byteRange{}, false
	}
	if from == "" { // the last bytes
		n, ok := digits(to)
		if !ok {
			return byteRange{}, false
		}
		n = min(n, size)
		return byteRange{size - n, n}, true
	}
	start, ok := digits(from)
	if !ok {
		return byteRange{}, false
	}
	end := size - 1
	if to != "" {
		last, ok := digits(to)
		if !ok || last < start {
			return byteRange{}, false
		}
		end = min(end, last)
	}
	if start >= size {
		return byteRange{}, true
	}
	return byteRange{start, end - start + 1}, true
}

// digits reads a position; one too large to represent is the largest.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 63)
	if err != nil {
		return 1<<62 - 1, true
	}
	return n, true
}

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

// buffers are for bodies copied from a fill under way.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}
