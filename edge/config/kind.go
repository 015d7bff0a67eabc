package config

import (
	"slices"
	"strings"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
	"pkgedge/origin/kind"
)

// sampleKind returns the kind of the embedded samples. It is the kind of a site that
// has no key "kind".
func sampleKind(kinds []kind.Descriptor) *kind.Descriptor {
	return &kinds[slices.IndexFunc(kinds, func(d kind.Descriptor) bool { return d.Samples })]
}

// kindNames lists the words of the key "kind".
func kindNames(kinds []kind.Descriptor) []string {
	names := make([]string, len(kinds))
	for i, d := range kinds {
		names[i] = d.Name
	}
	return names
}

// kindKeys are values whose keys only some kinds have. They are read after the
// rest of a site, for its kind may stand below them.
type kindKeys map[string]node.Value

// addKindKeys adds the keys of all kinds to those of a site. A key with a dot in
// its name lies in a mapping.
func addKindKeys(known node.Fields, kinds []kind.Descriptor) kindKeys {
	given := make(kindKeys)
	mappings := make(map[string]node.Fields)
	for _, d := range kinds {
		for _, key := range d.Keys {
			read := func(v node.Value) { given[key.Name] = v }
			first, rest, nested := strings.Cut(key.Name, ".")
			if !nested {
				known[first] = read
				continue
			}
			if mappings[first] == nil {
				mappings[first] = make(node.Fields)
				known[first] = func(v node.Value) { v.Object(mappings[first]) }
			}
			mappings[first][rest] = read
		}
	}
	return given
}

// settings reads the keys of a site's kind, and refuses those of other kinds.
func (d *decoder) settings(v node.Value, of *kind.Descriptor, given kindKeys) kind.Settings {
	var settings kind.Settings
	for name, value := range given {
		named := func(k kind.Key) bool { return k.Name == name }
		if i := slices.IndexFunc(of.Keys, named); i >= 0 {
			if read := d.setting(value, &of.Keys[i]); len(read) > 0 {
				if settings == nil {
					settings = make(kind.Settings)
				}
				settings[name] = read
			}
			continue
		}
		for _, other := range d.kinds {
			if i := slices.IndexFunc(other.Keys, named); i >= 0 {
				key := &other.Keys[i]
				if first, _, _ := strings.Cut(name, "."); len(d.setting(value, key)) > 0 {
					d.Bad(v.Path+"."+first, key.Foreign, of.Name)
				}
				break
			}
		}
	}
	return settings
}

// setting reads the value of a kind's key as kind.Settings has it.
func (d *decoder) setting(v node.Value, key *kind.Key) []string {
	check := func(text string) (string, error) {
		if key.Check == nil {
			return text, nil
		}
		return text, key.Check(text)
	}
	var text string
	switch key.Type {
	case kind.List:
		var list []string
		node.All(&list, check)(v)
		return list
	case kind.Flag:
		var set bool
		if node.Flag(&set)(v); set {
			text = "true"
		}
	case kind.Duration:
		var d time.Duration
		if node.Into(&d, value.ParseDuration)(v); d > 0 {
			text = d.String()
		}
	default:
		node.Into(&text, check)(v)
	}
	if text == "" {
		return nil
	}
	return []string{text}
}
