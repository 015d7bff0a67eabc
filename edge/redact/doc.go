// Package redact rewrites the bodies of requests and responses that the edge
// passes on: private names are taken out of a request before a master reads it,
// and withheld packages out of a response before a client does.
//
// The caller knows the names: it gives a [Change]. This package undoes content
// codings, and bounds the memory and the time of bodies that are read whole. It
// knows no kind of registry and nothing of sites, masters or the cache.
package redact
