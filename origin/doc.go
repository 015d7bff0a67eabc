// Package origin is the masters of a site: which of them is asked, for how long,
// and how their answers become responses that can be stored.
//
// It is a façade. A [Site] joins a kind of registry, which is pure (origin/kind),
// with a pool of masters, or two where files have masters of their own. [Site.Fetch]
// answers for the cache (origin/fetch), [Site.Pass] for everything that is never
// stored (origin/pool). [Site.Status] tells how the masters are (origin/health).
// A [Registry] keeps that knowledge over a reload. docs/decisions/0007-masters.md
// gives the reasons.
//
// Nothing here knows the cache: responses go to a [Sink].
package origin
