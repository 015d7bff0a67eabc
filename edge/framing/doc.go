// Package framing reads the raw heads of HTTP/1 requests, and refuses each request whose
// end is in doubt, before net/http acts on it.
//
// net/http reads framing before any handler, and deletes its fields: a handler cannot see
// that a request had both a Content-Length and a Transfer-Encoding, or a folded line. Such
// a request may end elsewhere for the next server than for this one, and then a stranger
// chooses the beginning of another client's request.
//
//   - head.go: [Head] is read and judged
//   - emptyline.go: empty lines before a request are dropped
//   - chunked.go: the end of a chunked body is found, and a malformed chunk
//   - conn.go: [Conn] stands between the connection, plain or TLS, and net/http; wrap.go
//     makes it
//   - activity.go: others see whether a connection is idle, and heads in parts are bounded
//   - frames.go: [Frames] counts those of HTTP/2 that carry nothing
//   - refuse.go: the answer to a request that is refused
//   - lane.go: answers in the place of net/http, with a [Body] (body.go); socket_linux.go:
//     cheaper system calls; records.go: the records of an answer inside TLS, in one write
//   - selftest.go: net/http is found to behave as the rule below has it
//
// # Messages
//
// A Conn follows the bytes that it hands up: a head, the body that the head announces, the
// next head. Heads are judged before their last byte is handed up, so that net/http never
// has a whole one that was refused. Chunk lines and trailers are judged likewise. Bytes that
// follow the end of a message are held back until net/http is done with it and says so
// (http.StateIdle). So net/http's buffer is empty between two requests, and each byte after
// that is of a new request.
//
// The two accounts of the end of a message are compared: when net/http asks for more of a
// message that has ended here, or ends one that has not, the connection is broken.
//
// The rules are stricter than net/http's: no folded line, no bare CR or LF, no byte in a
// name but those of a token, no control in a value, one Content-Length of digits at most,
// Transfer-Encoding in HTTP/1.1 alone, once, and exactly "chunked", and never both.
//
// # Lane
//
// A [Lane] may answer a request in the place of net/http. It is asked for whole requests
// without a body, of which nothing has been handed up, when net/http waits for one:
//
//  1. the message before has ended, and http.StateIdle has been seen since, or the
//     connection is new;
//  2. no byte has been handed up since;
//  3. the Read has the size of the connection's first one, which is net/http's whole
//     buffer: a background read of a running handler is of one byte, and a Read behind bytes
//     in the buffer is of fewer.
//
// One goroutine at a time reads a Conn, as net/http does. Close and the deadlines may be
// called by any.
package framing
