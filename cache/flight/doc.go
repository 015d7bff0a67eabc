// Package flight joins one fill and its readers: one writer, many readers, each at its own
// offset.
//
// The fill writes and never waits for a reader, but where no tier takes the bytes: then it
// waits for the slowest reader, within a window of memory. A reader waits for bytes, and
// no longer than its own context. States move one way: waiting, headers, then done or
// failed. The flight ends when the fill has finished and the last reader has left.
//
// The package knows no HTTP and no policy. The Head that it publishes is the caller's.
//
// Lock order: a flight's mu is the last lock taken. No writer, store or context function is
// called under it but the cancellation of the fill's own context.
package flight
