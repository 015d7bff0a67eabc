package policy

import (
	"time"

	"github.com/dunglas/httpsfv"
)

// targetField is the targeted field that this cache obeys in place of
// Cache-Control and Expires (RFC 9213 section 2.2).
const targetField = "Cdn-Cache-Control"

// parseTargeted reads CDN-Cache-Control, a structured dictionary with the names
// of Cache-Control's directives. ok is false when the field is absent, is not a
// valid dictionary, or gives a directive a value of the wrong type. Then the whole
// field is ignored, and Cache-Control decides (RFC 9213 section 2.1).
func parseTargeted(lines []string) (d Directives, ok bool) {
	d = NoDirectives()
	if len(lines) == 0 {
		return d, false
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dict.Names()) == 0 {
		return d, false
	}
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		item, ok := member.(httpsfv.Item)
		if !ok {
			return d, false
		}
		if !d.setTargeted(name, item.Value) {
			return d, false
		}
	}
	return d, true
}

// setTargeted takes one directive in. It reports false where value has another
// type than the directive wants.
func (d *Directives) setTargeted(name string, value any) bool {
	deltas := map[string]*time.Duration{
		"max-age":                &d.MaxAge,
		"s-maxage":               &d.SMaxAge,
		"stale-while-revalidate": &d.StaleWhileRevalidate,
		"stale-if-error":         &d.StaleIfError,
	}
	if to, ok := deltas[name]; ok {
		n, isInt := value.(int64)
		if !isInt || n < 0 {
			return false
		}
		*to = min(time.Duration(min(n, int64(maxDelta/time.Second)))*time.Second, maxDelta)
		return true
	}
	switch v := value.(type) {
	case bool:
		if v {
			d.set(name, "", false)
		}
	case string: // the qualified forms, no-cache="a"
		d.set(name, v, true)
	default: // an argument in the wrong place does not lift a restriction
		d.set(name, "", false)
	}
	return true
}
