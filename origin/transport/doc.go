// Package transport carries requests to masters: connections, redirects, and the
// bodies of responses.
//
// A [Transport] sends one request. It bounds each wait, follows redirects without
// giving a secret away, and lets none of them lead into a network that the master
// is not in. [Sanitize] takes fields out of a response that no master should send.
//
// The package knows no pool, no health and no kind of registry. It does not decide
// whether an error is the master's fault.
package transport
