package npm

import (
	"fmt"

	"pkgedge/origin/kind"
)

// prepareManifest makes the one document of a version or tag: the manifest,
// with its tarball URL replaced.
func (k *Kind) prepareManifest(want string, body []byte) ([]kind.Document, error) {
	w := newRewriter(k.tarballs(want), body)
	if err := w.object(); err != nil {
		return nil, err
	}
	var name match
	var number span
	for {
		key, _, ok, err := w.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		switch string(key) {
		case "name":
			name, err = w.matches(want)
		case "version":
			number, err = w.stringValue()
		case "dist":
			_, err = w.dist()
		default:
			_, err = w.value()
		}
		if err != nil {
			return nil, err
		}
	}
	if err := w.end(); err != nil {
		return nil, err
	}
	switch {
	case name != equal:
		return nil, fmt.Errorf("%w: it has not the name of the package", ErrDocument)
	case number.to-number.from <= len(`""`):
		return nil, fmt.Errorf("%w: it has no version", ErrDocument)
	}
	w.finish()
	return []kind.Document{{ContentType: typeJSON, Size: w.full.size, Body: &w.full}}, nil
}
