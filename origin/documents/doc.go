// Package documents bounds the memory in which all sites together read, check and write metadata
// documents, and writes them in the content codings in which they are stored.
//
// It knows no masters, no responses and no kinds: a document is bytes, or writes itself.
//
// The lock of a [Memory] is its own. Nothing is called under it.
package documents
