// Command load is the client of the comparisons in bench: distinct requests once each, requests
// at an equal rate, connections that wait, and a registry of many small packages on disk. wrk and
// h2load do the rest.
//
// It speaks HTTP/1.1 by hand, with fixed requests and answers that have a length, since
// net/http's client would cost more than the servers that are compared. It goes to loopback
// addresses alone, and each command is bounded in time. It knows nothing of the edge.
package main
