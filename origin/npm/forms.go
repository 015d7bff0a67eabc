package npm

import (
	"fmt"
	"strings"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// Prepare checks a metadata body and makes the documents that are kept of it.
// They refer to the body, which must not change afterwards. A packument
// becomes three: [Full], [Abbreviated] and [kind.Summary]. A body over 1 GiB,
// or nested deeper than the 10,000 levels of jsontext, is an error, and so is a
// packument that must not replace the one of the summary, see [kind.ErrOlder] and
// [kind.ErrLost].
func (k *Kind) Prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	documents, err := k.prepare(r, from)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s of %q: %w", r.Endpoint, r.Group, err)
	}
	return documents, nil
}

func (k *Kind) prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	body := from.Body
	if len(body) > packument.MaxSource {
		return nil, fmt.Errorf("%w: larger than %d bytes", packument.ErrDocument, packument.MaxSource)
	}
	switch r.Endpoint {
	case endpointPackument, endpointVersion, endpointDistTags: // the latter two are excerpts of the first
		o := packument.Options{Tarballs: k.tarballs(r.Group), Times: k.time}
		if k.policy != nil {
			o.Withheld = k.policy.withheld(r.Group, from.Now)
		}
		return packument.Make(r.Group, from, o)
	case endpointKeys, endpointAttestations:
		return packument.Verbatim(body, r.Endpoint)
	}
	return nil, fmt.Errorf("%w: no metadata route", packument.ErrDocument)
}

// tarballs is the beginning of the tarball URLs of a package, escaped for JSON. A
// name needs no escaping.
func (k *Kind) tarballs(name string) string { return k.base + "/" + name + "/-/" }

// packumentVariant chooses the form of a packument by Accept (RFC 9110 section
// 12.5.1). The full form is the default: the abbreviated one is given only to
// a client that names its type, with a weight that is not zero and not below
// the one it gives to plain JSON. A wildcard does not name it.
func packumentVariant(accept []string) string {
	const (
		abbreviated = iota
		plain
		application
		anything
	)
	weights := [...]int{-1, -1, -1, -1}
	for _, list := range accept {
		for list != "" {
			var element string
			element, list = cutUnquoted(list, ',')
			mediaType, weight := parseElement(element)
			i := 0
			switch {
			case strings.EqualFold(mediaType, packument.TypeAbbreviated):
				i = abbreviated
			case strings.EqualFold(mediaType, packument.TypeJSON):
				i = plain
			case strings.EqualFold(mediaType, "application/*"):
				i = application
			case mediaType == "*/*":
				i = anything
			default:
				continue
			}
			weights[i] = max(weights[i], weight)
		}
	}
	json := 0
	for _, weight := range weights[plain:] { // the most specific range decides
		if weight >= 0 {
			json = weight
			break
		}
	}
	if w := weights[abbreviated]; w > 0 && w >= json {
		return packument.Abbreviated
	}
	return packument.Full
}

// parseElement reads one element of Accept. The weight is in thousandths, -1
// if it is malformed and the element so to be ignored.
func parseElement(s string) (mediaType string, weight int) {
	mediaType, s = cutUnquoted(s, ';')
	weight = 1000
	for s != "" {
		var parameter string
		parameter, s = cutUnquoted(s, ';')
		key, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(trim(key), "q") {
			weight = parseWeight(trim(value))
			break // the rest is an extension
		}
	}
	return trim(mediaType), weight
}

// parseWeight reads a qvalue: 0 or 1 with at most three decimals.
func parseWeight(s string) int {
	if s == "" || s[0] != '0' && s[0] != '1' || len(s) > 5 {
		return -1
	}
	weight := int(s[0]-'0') * 1000
	if len(s) == 1 {
		return weight
	}
	if s[1] != '.' {
		return -1
	}
	unit := 100
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		weight += int(s[i]-'0') * unit
		unit /= 10
	}
	if weight > 1000 {
		return -1
	}
	return weight
}

// cutUnquoted is strings.Cut around the first sep outside a quoted string.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func trim(s string) string { return strings.Trim(s, " \t") }
