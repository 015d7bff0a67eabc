// Package handover lets a new process take the place of the running one, without a
// request that is refused.
//
// The running edge listens on a unix socket in its cache directory, see [Listen]. The new
// one, see [Take], is given the listening sockets themselves, as descriptors: a socket that
// both processes have is never closed, and so no connection in its queue is lost. Then
//
//	new                                     running
//	hello                             ──►
//	                                  ◄──   sockets, with their descriptors
//	reads its configuration, certificates;
//	any mistake ends it here, and nothing has happened
//	go                                ──►
//	                                        leaves the cache directory, serves on without it
//	                                  ◄──   released
//	opens the cache
//	serving                           ──►
//	                                        accepts no more, and drains
//	                                  ◄──   stopped
//	accepts
//	tell, ok                          ◄─►   tell, ok
//
// While the old one drains each tells the other of changes that its requests make.
//
// A new process that ends before "serving" leaves the running one to go on: it has never
// stopped accepting. Each message is one packet of JSON. The socket is for the edge's own user
// alone: a process that may write to it can take the edge's place.
//
// The package knows nothing of caches or of requests. One lock guards the successor; one is
// held over a change and its answer, and stands alone.
package handover
