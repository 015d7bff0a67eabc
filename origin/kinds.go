package origin

import (
	"fmt"

	"pkgedge/origin/files"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
)

// newKind returns the kind of registry with that name for a site at the public
// base URL. This is the one place that lists kinds.
func newKind(name, publicBase string) (kind.Kind, error) {
	switch name {
	case "npm":
		return npm.New(publicBase), nil
	case "files":
		return files.New(), nil
	}
	return nil, fmt.Errorf("no such kind of site: %q", name)
}
