package lockfile

import (
	"errors"
	"io"
	"net/url"
	"strings"
)

// berry reads the yarn.lock of Yarn 2 and later. A resolution names the
// package of an entry:
//
//	name@npm:1.0.0
//	name@npm:1.0.0::__archiveUrl=https%3A%2F%2Fregistry.example%2F…
//	name@workspace:., name@patch:…, name@https://…
func (l *list) berry(data []byte) error {
	loader, err := newLoader(data)
	if err != nil {
		return err
	}
	var doc map[string]struct {
		Resolution string `yaml:"resolution"`
	}
	if err := loader.Load(&doc); err != nil && !errors.Is(err, io.EOF) {
		return yamlError(err)
	}
	for key, e := range doc {
		if key != "__metadata" {
			l.berryEntry(e.Resolution)
		}
	}
	return nil
}

func (l *list) berryEntry(resolution string) {
	name, reference, _ := cutSpec(resolution)
	reference, ok := strings.CutPrefix(reference, "npm:")
	version, binding, _ := strings.Cut(reference, "::")
	var file string
	if params, err := url.ParseQuery(binding); err == nil && ok && params.Get("__archiveUrl") != "" {
		file, ok = registryFile(name, params.Get("__archiveUrl"))
	}
	if !ok {
		l.skip()
		return
	}
	l.add(Package{Name: name, Version: version, File: file})
}
