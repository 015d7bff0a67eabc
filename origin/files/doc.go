// Package files is the kind for any static origin: what the origin says is what
// is done, by RFC 9111 and nothing else. It is pure.
package files
