package diff

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"pkgedge/edge/config"
	"pkgedge/origin/kind"
)

// startOnly lists the keys that need a restart.
var startOnly = []string{
	"listen", "admin.listen", "admin.token",
	"limits.proxy_protocol",
	"cache.memory", "cache.disk", "cache.dir", "cache.max_object",
	"tls.listen", "tls.domains", "tls.on_demand", "tls.challenge", "tls.profile", "tls.email", "tls.ca", "tls.ca_root",
	"fleet.nats", "fleet.creds", "fleet.tls.cert", "fleet.tls.key", "fleet.tls.ca", "fleet.name", "fleet.pop", "fleet.listen", "fleet.token", "fleet.seal", "fleet.peers",
	"fleet.unheard", "fleet.store.url", "fleet.store.endpoint", "fleet.store.region", "fleet.store.key", "fleet.store.secret",
}

// Compare names the keys in which two configurations differ: changed are keys that
// a reload applies, and fixed are keys that need a restart. It returns no values, for
// some are secrets.
func Compare(old, cfg *config.Config) (changed, fixed []string) {
	for _, key := range differences("", reflect.ValueOf(*old), reflect.ValueOf(*cfg)) {
		switch key {
		case "sites":
			changed = append(changed, siteChanges(old.Sites, cfg.Sites)...)
		case "tls.cert", "tls.key":
			key = "tls.certificate." + strings.TrimPrefix(key, "tls.")
			if old.TLS.Cert == "" || cfg.TLS.Cert == "" { // domains have come, or gone
				fixed = append(fixed, key)
			} else {
				changed = append(changed, key)
			}
		default:
			if slices.Contains(startOnly, key) {
				fixed = append(fixed, key)
			} else {
				changed = append(changed, key)
			}
		}
	}
	return changed, fixed
}

// siteChanges compares sites by their names.
func siteChanges(old, now []config.Site) []string {
	var changed []string
	named := func(all []config.Site, name string) int {
		return slices.IndexFunc(all, func(s config.Site) bool { return s.Name == name })
	}
	for i := range now {
		s := &now[i]
		j := named(old, s.Name)
		if j < 0 {
			changed = append(changed, "site "+s.Name+" added")
			continue
		}
		for _, key := range differences("", reflect.ValueOf(old[j]), reflect.ValueOf(*s)) {
			changed = append(changed, fmt.Sprintf("site %s: %s", s.Name, key))
		}
	}
	for i := range old {
		if named(now, old[i].Name) < 0 {
			changed = append(changed, "site "+old[i].Name+" removed")
		}
	}
	if len(changed) == 0 {
		changed = append(changed, "order of sites")
	}
	return changed
}

// Equal reports whether two sites are the same in every key.
func Equal(a, b *config.Site) bool {
	return len(differences("", reflect.ValueOf(*a), reflect.ValueOf(*b))) == 0
}

// differences lists the fields in which two structs differ, by the names of their
// keys in the file. It descends into structs.
func differences(prefix string, a, b reflect.Value) []string {
	var keys []string
	for i := range a.NumField() {
		field := a.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		key := prefix + keyOf(field.Name)
		switch was := a.Field(i).Interface().(type) {
		case *kind.Descriptor: // has functions in it, which are never equal
			if was.Name != b.Field(i).Interface().(*kind.Descriptor).Name {
				keys = append(keys, key)
			}
		case []config.Site:
			if !slices.EqualFunc(was, b.Field(i).Interface().([]config.Site), func(a, b config.Site) bool { return Equal(&a, &b) }) {
				keys = append(keys, key)
			}
		case kind.Settings:
			keys = append(keys, differentSettings(prefix, was, b.Field(i).Interface().(kind.Settings))...)
		default:
			if field.Type.Kind() == reflect.Struct {
				keys = append(keys, differences(key+".", a.Field(i), b.Field(i))...)
			} else if !reflect.DeepEqual(was, b.Field(i).Interface()) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// differentSettings names the keys of a kind that differ.
func differentSettings(prefix string, a, b kind.Settings) []string {
	names := maps.Clone(a)
	if names == nil {
		names = make(kind.Settings)
	}
	maps.Copy(names, b)
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Equal(a[name], b[name]) {
			keys = append(keys, prefix+name)
		}
	}
	return keys
}

// keyOf returns the key of a field: "PublicURL" is "public_url", and "CARoot" is "ca_root".
func keyOf(field string) string {
	var b strings.Builder
	runes := []rune(field)
	for i, r := range runes {
		ends := i+1 < len(runes) && unicode.IsLower(runes[i+1]) // an abbreviation before r
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || ends) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
