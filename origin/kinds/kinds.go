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
