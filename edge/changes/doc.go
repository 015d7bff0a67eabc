// Package changes has a registry tell the edge of changes, so that a publish is
// visible at once: by a change feed that is followed ([Feeds]), or by a webhook
// that the registry posts ([Webhooks]).
//
// It subscribes a site to its feed, across reloads, and hands each change on to the
// site. Package feed reads the feed, and the site knows which responses a change makes
// stale. It knows nothing of the cache, of lifetimes, or of clients'
// requests for packages.
//
// The locks of Feeds and Webhooks are independent. Neither is held while a site is
// called.
package changes
