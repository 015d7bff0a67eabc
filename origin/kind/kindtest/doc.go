// Package kindtest checks that a [kind.Kind] keeps its contract. Every kind of
// registry runs it in its own tests, with samples of its own.
package kindtest
