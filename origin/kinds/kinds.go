// Package kinds is the line where kinds of registry are registered: a new one is a
// folder under origin, and an entry here. It knows nothing of them but their
// descriptors.
package kinds

import (
	"pkgedge/origin/dist"
	"pkgedge/origin/files"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
)

// All returns the descriptors of all kinds, in the order of the documentation.
func All() []kind.Descriptor {
	return []kind.Descriptor{npm.Descriptor(), dist.Descriptor(), files.Descriptor()}
}
