// Package kindtest checks that a [kind.Kind] keeps its contract, and that its
// [kind.Descriptor] tells the truth. Every kind of registry runs it in its own
// tests, with requests and bodies of its own. Package shelf below is a throw-away
// kind that shows how little a new one needs.
package kindtest
