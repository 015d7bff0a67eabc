// Package proxy answers the requests of package clients. The life of a request is
// these files:
//
//   - handler.go: [Handler.ServeHTTP] finds the site and the route, and asks the cache
//   - budget.go: the client is charged, before a master is asked and by the answer, and
//     has so many requests, bodies and misses under way and no more
//   - respond.go: a stored response becomes status, fields and ranges, and its bytes go
//     out, in pieces with a deadline each
//   - root.go: a browser at the root is told how clients use the edge
//   - subdocument.go: a part of a document is answered, such as one version
//   - pass.go: a request that is never stored is forwarded
//   - pace.go: slow clients have their time, and no more
//   - failure.go: everything else is answered with a reason
//   - accesslog.go: the request is written down
//
// A request ends in one [cache.Outcome], which access log, metrics and Cache-Status
// share. It keeps to the [Snapshot] that it began with, however often the
// configuration is replaced meanwhile.
//
// The package knows nothing of listeners and configuration files, and of masters
// only the errors that they end in. It has no lock but that of the access log's
// writer. One goroutine serves a request.
package proxy
