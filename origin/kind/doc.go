// Package kind is the vocabulary a kind of registry and the rest of the edge
// share: what a request asks for ([Route]), how it is to be treated ([Class]),
// and what a metadata answer becomes before it is kept ([Document]).
//
// It is a leaf: it imports nothing of ours and does no I/O, so that a new kind
// of registry is a new folder beside it that implements [Kind], one line where
// kinds are registered, and nothing else. See docs/decisions/0002.
package kind
