// Package site is one registry as the configuration describes it: the requests
// that are its own ([Site.Below]), the masters that answer them ([Upstream]), the
// lifetimes of their responses ([Site.Rule]), and the releases that are too young
// to be served ([Site.Withheld]).
//
// It turns a route into a query for the cache ([Site.Query]) and a write into the
// invalidations that follow from it ([Site.Invalidate]). It knows nothing of
// clients and connections, nor of where a change feed comes from: it is given a
// [Feed].
//
// The only lock is that of the releases known to be old enough. Nothing is called
// while it is held.
package site
