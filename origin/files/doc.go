// Package files is the kind for any static origin: the site is a cache as RFC 9111
// has it, and no more. It is pure, and knows nothing of the files behind the paths.
package files
