package lockfile

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// text is a JSON string; anything else, such as npm 6's "resolved": false,
// reads as "".
type text string

func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil || v.Kind() != '"' {
		return err
	}
	plain, err := jsontext.AppendUnquote(nil, v)
	*t = text(plain)
	return err
}

// flag is true where the JSON is true.
type flag bool

func (f *flag) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	*f = v.Kind() == 't'
	return err
}

// unmarshal reads JSON as clients do: the last of equal keys wins, and odd
// bytes in strings are let be.
func unmarshal(data []byte, v any) error {
	return json.Unmarshal(data, v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// npmEntry is an entry of either table.
type npmEntry struct {
	Name      text `json:"name"` // where the folder has another
	Version   text `json:"version"`
	Resolved  text `json:"resolved"`
	Integrity text `json:"integrity"`
	Link      flag `json:"link"`
	Bundled   flag `json:"bundled"`  // lockfileVersion 1
	InBundle  flag `json:"inBundle"` // 2 and 3
}

// npmNode is an entry of lockfileVersion 1, with those in its own folder.
type npmNode struct {
	npmEntry
	Dependencies map[string]npmNode `json:"dependencies"`
}

// npm reads package-lock.json. Where a file has both tables, for npm 6 as well,
// both say the same.
func (l *list) npm(data []byte) error {
	var doc struct {
		Packages     map[string]npmEntry `json:"packages"`
		Dependencies jsontext.Value      `json:"dependencies"`
	}
	if err := unmarshal(data, &doc); err != nil {
		return err
	}
	if doc.Packages == nil && doc.Dependencies != nil {
		var tree map[string]npmNode
		if err := unmarshal(doc.Dependencies, &tree); err != nil {
			return err
		}
		l.npmTree(tree)
	}
	for place, e := range doc.Packages {
		folder, ok := strings.CutPrefix(place, "node_modules/")
		if i := strings.LastIndex(place, "/node_modules/"); i >= 0 {
			folder, ok = place[i+len("/node_modules/"):], true
		}
		if !ok {
			continue // the root, or a folder that a link names
		}
		if e.Link {
			l.skip()
			continue
		}
		if e.Name != "" {
			folder = string(e.Name)
		}
		l.npmEntry(folder, string(e.Version), e)
	}
	return nil
}

func (l *list) npmTree(tree map[string]npmNode) {
	for name, n := range tree {
		version := string(n.Version)
		if alias, ok := strings.CutPrefix(version, "npm:"); ok {
			name, version, _ = cutSpec(alias)
		}
		l.npmEntry(name, version, n.npmEntry)
		l.npmTree(n.Dependencies)
	}
}

func (l *list) npmEntry(name, version string, e npmEntry) {
	var file string
	ofRegistry := true // also without a URL, see npm's omit-lockfile-registry-resolved
	if e.Resolved != "" {
		file, ofRegistry = registryFile(name, string(e.Resolved))
	}
	if !ofRegistry || bool(e.Bundled || e.InBundle) {
		l.skip()
		return
	}
	l.add(Package{Name: name, Version: version, Integrity: string(e.Integrity), File: file})
}
