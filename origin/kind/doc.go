// Package kind is the vocabulary that a kind of registry and the rest of the edge
// share. A [Route] says which thing a request asks for, a [Class] how the request
// is treated, a [Document] is one form of a metadata answer as it is stored, and a
// [Descriptor] is the kind as the configuration, the sites and the masters see it.
//
// The package is a leaf: it imports no other room and does no I/O. So a new kind of
// registry is a folder beside it that implements [Kind], and one line in
// origin/kinds. See docs/decisions/0002.
package kind
