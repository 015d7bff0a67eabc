package policy

import (
	"time"

	"github.com/dunglas/httpsfv"
)

// TargetField is the targeted cache control field this cache obeys before
// Cache-Control and Expires (RFC 9213 section 2.2).
const TargetField = "Cdn-Cache-Control"

// parseTargeted reads CDN-Cache-Control, a structured dictionary with the names
// of Cache-Control's directives. ok is false when the field is absent, is not a
// valid dictionary, or gives a directive a value of the wrong type: then it is
// ignored as a whole and Cache-Control decides (RFC 9213 section 2.1).
func parseTargeted(lines []string) (Directives, bool) {
	d := NoDirectives()
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

// setTargeted reports whether value has the type that the directive wants.
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
	default: // an argument where none belongs does not lift the restriction
		d.set(name, "", false)
	}
	return true
}
