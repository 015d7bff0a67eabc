// Package coding writes documents in the content codings in which they are stored: as they
// are, in gzip and in zstd.
//
// Encoders and buffers are used again, for they cost a small document more than its
// compression. The package knows no masters and no responses, and does not bound how many
// documents are written at a time. It has no locks.
package coding
