// Package pop is the part of a fleet that stands beside an edge: the siblings of its place, which
// fetch each thing once, and the store that all places share. It makes both of a configuration,
// and runs them.
//
// It knows no listeners and nothing of the log of purges. It has no locks of its own.
package pop
