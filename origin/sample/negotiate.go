package sample

import (
	"mime"
	"strconv"
	"strings"
)

const abbreviatedType = "application/vnd.npm.install-v1+json"

// variant is the packument that Accept asks for: the abbreviated one where it
// is named, and not liked less than plain JSON.
func variant(accept string) string {
	short, long := 0.0, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch kind {
		case abbreviatedType:
			short = weight(params["q"])
		case "application/json":
			long = weight(params["q"])
		}
	}
	if short > 0 && short >= long {
		return "abbreviated"
	}
	return "full"
}

// gzipped says whether Accept-Encoding takes gzip.
func gzipped(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) == "gzip" {
			_, q, _ := strings.Cut(params, "=")
			return weight(strings.TrimSpace(q)) > 0
		}
	}
	return false
}

// weight reads a q parameter; without one it is 1.
func weight(q string) float64 {
	if q == "" {
		return 1
	}
	w, err := strconv.ParseFloat(q, 64)
	if err != nil {
		return 0
	}
	return w
}
