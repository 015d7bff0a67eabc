// Package kinds registers the kinds of registry: a new kind is a folder under origin,
// and one entry here. Only the program imports it. Every other room is handed the
// list, so that a test can add a kind of its own.
//
// The package knows nothing of a kind but its descriptor.
package kinds
