// Package presence knows the edges of a fleet, and how far each has read the log of purges.
//
// Each edge tells the others of itself by core NATS, every two seconds and less often where they
// are many ("here"). One that ends says so; one that is silent counts as away, for an hour, so
// that a purge names it as missing. An edge may ask all others how far they are ("where"): each
// answers at once, and once more when it has reached the sequence that was asked about.
//
// Nothing depends on a message: none is kept, and any may be lost. The package does not know the
// log, nor the purges. It has one lock, under which no I/O happens.
package presence
