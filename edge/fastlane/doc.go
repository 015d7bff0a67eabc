// Package fastlane answers hot hits on the connection, before net/http has read the request.
// It costs a third of net/http's path, and allocates nothing.
//
// It is a memo, and no second cache: it decides nothing. The slow path, having answered a
// simple request from a fresh stored response, offers the answer ([Offer]). The lane repeats
// it to requests with the same [KeyOf], as long as the slow path's [Lookup] says that it would
// give it again. Every other request goes untouched to net/http. So a law holds, and is
// tested: an answer of the lane is that of the slow path, but for Age, Date and the rest of
// lifetimes.
//
//   - lane.go: [Lane], which framing.Conn asks for each request, and its answers by key, in a
//     fixed number of slots
//   - request.go: the fields that a request may have, and the key
//   - answer.go: an offered answer, and its head with gaps for the figures
//
// # When the lane may interpret bytes
//
// The rule is in package framing, which calls the lane: bytes are a request of their own
// where the message before has ended, net/http has said that it waits (http.StateIdle, or a
// new connection), nothing has been handed up since, and the Read has the size of net/http's
// whole buffer. Bytes behind a message are held back there, so that the buffer is empty then.
// framing.SelfTest finds out at the start whether net/http behaves so; otherwise the lane is
// off, with a warning.
//
// # Traps
//
// Each of them was fallen into, by a prototype or by reading net/http.
//
//	http.StateActive comes behind the whole head, so that a     framing: Conn.begin and partOfHead leave atHead, or
//	  Read in its middle looks like one for a new request         fill part, with the first byte that is handed up
//	net/http's buffer has a pipelined head already              framing: Conn.follow hands up one message, and
//	                                                              holds the rest back
//	one to three bytes are left in that buffer                  framing: Conn.head, len(p) != c.full
//	a background read of one byte, on another goroutine         framing: Conn.follow at atEnd; it is joined
//	                                                              before the next Read
//	one Read lasts for hours, under a deadline of 10 s          framing: Conn.extendIdle; Conn.handUp sets that
//	                                                              of a head, or a slow one had 120 s
//	a write deadline of a handler is still set                  framing: Conn.Send sets its own, handUp takes it off
//	Shutdown closes idle connections, and the lane is writing   framing: Conn.Close waits for the answer
//	Shutdown returns meanwhile                                  daemon: awaitRequests; Lookup.Begin has counted it
//	the lane goes on while the edge drains                      Lane.Drain, before Shutdown
//	hijacked, closed, upgraded connections                      framing: no StateIdle, so that atEnd stays;
//	                                                              Request.read takes no such field
//	a client pipelines and does not read                        framing: Conn.Send, one answer at a time, under a
//	                                                              deadline
//	the rest of a pipeline is not for the lane                  framing: Conn.head moves it to the front
//	reload, purge, a newer response, a budget spent             Lookup.Find and Begin, before each answer
//	evicted bodies stay in memory, or open, uncounted           cache.Repeat has a weak pointer
//	the tiers do not see that a response is in use              cache.Repeat.Get looks it up once a second
//	metrics and access log have two sources                     proxy: Snapshot.finish is the only one
//	a wrapped connection loses sendfile and lingering close     framing: plainConn.ReadFrom, Conn.CloseWrite
//	net/http wants a *tls.Conn for HTTP/2 and handshakes        server: handshakes; HTTP/2 goes on as it is
//	a raw system call blocks a thread                           framing: socket, on the TCP socket alone
//	files that are replaced while they are sent                 disk.File: an answer uses it to its end; the next one
//	                                                              asks whether it is current
//	a file that is not in the system's memory blocks a thread   framing: Body.Cached
//	the standard library changes                                framing.SelfTest, and Conn.breakOff where the two
//	                                                              differ about the end of a message
package fastlane
