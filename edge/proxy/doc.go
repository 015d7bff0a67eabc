// Package proxy answers the requests of package clients. The life of a request is
// these files:
//
//   - snapshot.go: [Snapshot] is the configuration that the request keeps to
//   - handler.go: [Handler.ServeHTTP] finds the site and the route, asks the cache, and
//     has the request written down
//   - secure.go: a client that came by plain HTTP is led to the encrypted listener
//   - webhook.go: a registry tells of a change
//   - budget.go: the client is charged, before a master is asked and by the answer, and
//     has so many requests, bodies and misses under way and no more
//   - respond.go: a stored response becomes status, fields and ranges, and its bytes go
//     out, in pieces with a deadline each
//   - root.go: a browser at the root is told how clients use the edge
//   - subdocument.go: a part of a document is answered, such as one version
//   - pass.go: a request that is never stored is forwarded
//   - pace.go: slow clients have their time, and no more
//   - failure.go: everything else is answered with a reason
//   - lane.go: a hit is offered to the lane, which answers the next such request
//
// A hit enters snapshot.go, handler.go, respond.go, pace.go and lane.go, and budget.go where
// clients have budgets.
//
// A request ends in one [cache.Outcome], which access log, metrics and Cache-Status
// share. It keeps to the [Snapshot] that it began with, however often the
// configuration is replaced meanwhile.
//
// The package knows nothing of listeners and configuration files, and of masters
// only the errors that they end in. It has no locks. One goroutine serves a request.
package proxy
