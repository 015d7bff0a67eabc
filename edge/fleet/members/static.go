package members

import (
	"slices"
	"strings"
)

// Static is a list of members as an operator wrote it: addresses with ports.
type Static []string

// NewStatic returns a list without doubles.
func NewStatic(addresses []string) Static {
	all := slices.Clone(addresses)
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Members is the list. It is not to be changed.
func (s Static) Members() []string { return s }
