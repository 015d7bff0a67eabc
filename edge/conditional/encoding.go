package conditional

import (
	"strconv"
	"strings"
)

// Codings are the content codings that a client accepts, of those that variants
// are stored in. The identity coding is always accepted.
type Codings struct{ Gzip, Zstd bool }

// AcceptedCodings reads Accept-Encoding (RFC 9110 section 12.5.3).
func AcceptedCodings(lines []string) Codings {
	const gzip, zstd = 1, 2
	var accepted, refused uint8
	wildcard := false
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(member, ";")
			wanted := !zeroWeight(params)
			var coding uint8
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				coding = gzip
			case "zstd":
				coding = zstd
			case "*":
				wildcard = wildcard || wanted
			}
			if wanted {
				accepted |= coding
			} else {
				refused |= coding
			}
		}
	}
	if wildcard { // "*" stands for every coding that is not named
		accepted |= gzip
	}
	accepted &^= refused
	return Codings{Gzip: accepted&gzip != 0, Zstd: accepted&zstd != 0}
}

// zeroWeight reports whether the parameters of a coding refuse it.
func zeroWeight(params string) bool {
	name, value, _ := strings.Cut(params, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return false
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q == 0
}
