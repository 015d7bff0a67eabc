// Package record is the format of a file of the disk tier: it encodes a stored response's
// Meta, finds the newest one in a file, and checks bytes against their sums.
//
// It is pure. It reads from an io.ReaderAt and returns bytes to write; it opens no file,
// and knows neither directories nor eviction. Its errors tell damage (IsDamage) from
// bytes that could not be read.
package record
