package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// pnpmEntry is an entry of the table "packages".
type pnpmEntry struct {
	Resolution struct {
		Integrity string `yaml:"integrity"`
		Tarball   string `yaml:"tarball"` // where it is not the usual URL
	} `yaml:"resolution"`
}

// pnpm reads pnpm-lock.yaml. pnpm 11 and later put a first document in front,
// of the same form, with the packages that the settings of the project need.
func (l *list) pnpm(data []byte) error {
	loader, err := newLoader(data)
	if err != nil {
		return err
	}
	for {
		var doc struct {
			Version  string               `yaml:"lockfileVersion"`
			Packages map[string]pnpmEntry `yaml:"packages"`
		}
		if err := loader.Load(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return yamlError(err)
		}
		major, _, _ := strings.Cut(doc.Version, ".")
		v, err := strconv.Atoi(major)
		if doc.Version != "" && (err != nil || v < 5) {
			return fmt.Errorf("lockfileVersion %q is not one of 5.0 to 9.0", doc.Version)
		}
		for id, e := range doc.Packages {
			l.pnpmEntry(id, v, e)
		}
	}
}

func (l *list) pnpmEntry(id string, major int, e pnpmEntry) {
	name, version := pnpmSpec(id, major)
	var file string
	// A folder has no integrity, nor has a Git repository.
	ofRegistry := e.Resolution.Integrity != ""
	if ofRegistry && e.Resolution.Tarball != "" {
		file, ofRegistry = registryFile(name, e.Resolution.Tarball)
	}
	if !ofRegistry {
		l.skip()
		return
	}
	l.add(Package{Name: name, Version: version, Integrity: e.Resolution.Integrity, File: file})
}

// pnpmSpec reads the key of an entry. The part for its peers is cut off:
//
//	5:  /name/1.0.0_peer@1.0.0    registry.example/name/1.0.0
//	6:  /name@1.0.0(peer@1.0.0)   registry.example/name@1.0.0
//	9:  name@1.0.0
//
// The version is not one where the key names something else.
func pnpmSpec(id string, major int) (name, version string) {
	if major < 9 {
		_, id, _ = strings.Cut(id, "/")
	}
	if major >= 6 {
		id, _, _ = strings.Cut(id, "(")
		name, version, _ = cutSpec(id)
		return name, version
	}
	from := 0
	if strings.HasPrefix(id, "@") {
		from = strings.IndexByte(id, '/') + 1
	}
	base, version, _ := strings.Cut(id[from:], "/")
	if peers := strings.IndexAny(version, "_/"); peers >= 0 {
		version = version[:peers]
	}
	return id[:from] + base, version
}

// newLoader lets equal keys be: to look for them takes the square of their number.
func newLoader(data []byte) (*yaml.Loader, error) {
	return yaml.NewLoader(bytes.NewReader(data), yaml.WithUniqueKeys(false))
}

// yamlError puts an error of the YAML parser in words.
func yamlError(err error) error {
	if le := (*yaml.LoadError)(nil); errors.As(err, &le) && le.Message != "" {
		return fmt.Errorf("line %d: %s", le.Mark.Line, le.Message)
	}
	return err
}
