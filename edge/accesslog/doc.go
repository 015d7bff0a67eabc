// Package accesslog writes a line for each request that was answered, as a JSON object or in the
// Common Log Format.
//
// A line is encoded by hand into a buffer that is used again; a repeated answer has a part of it
// ready ([Known]), and the second of the clock is formatted once. It is written behind the request by
// a [Writer]: a full pipe never stalls a client, and lines that find no room are counted. The
// package knows no caches and no sites.
//
// The lock of a Writer is not held while the lines are written out.
package accesslog
