// Package origin is what stands behind the edge: the masters of a site, which
// of them is asked, for how long, and what is made of their answers.
//
// A [Site] joins a kind of registry, which is pure (origin/npm, origin/dist,
// origin/files), with a pool of masters. [Site.Fetch] answers for the cache: it tries masters
// in order of role, each wait bounded, and moves on to the next before anything
// has been released. Metadata is read whole, checked, rewritten and compressed
// into every variant before the first byte goes out. Files stream, and their
// digest decides whether the stream ends; what one master breaks off, another
// completes. [Site.Pass] answers for everything that is never stored.
//
// Nothing here knows the cache: responses go to a [Sink].
package origin
