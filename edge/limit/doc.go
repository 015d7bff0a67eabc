// Package limit keeps a client's budget.
//
// Every client has a bucket of tokens ([rate.Limiter]) that fills at
// [Config.Rate] tokens a second up to [Config.Burst]. A request costs [Hit] when
// it arrives, which [Limiter.Take] charges or refuses. A miss makes a master work and
// costs [Miss] in all: [Limiter.Charge] charges the rest as soon as it is known. Charging afterwards may leave a
// bucket below zero; the client then waits until it has paid its debt. Since
// Take lets at most a burst through at once, the debt is bounded by the burst
// times Miss. Nothing in this package ever waits.
//
// A client is an IPv4 address, or a whole IPv6 /64: one subscriber has that many
// addresses, and may use any of them. An IPv4 address that arrives
// mapped into IPv6 is the IPv4 client.
//
// # A table that cannot be outgrown
//
// Clients are strangers, so the table has a fixed number of slots. When all of
// them are let, a newcomer takes the slot of a client that was not seen for
// long: of the few oldest, the one with most tokens, which loses least by being
// forgotten. The newcomer takes over the slot with the tokens left in it, not
// with a full bucket. So the sum of all budgets cannot be raised by coming with
// ever more addresses, and being forgotten is no way out of a debt.
//
// The trade: while more clients are active than there are slots, within the time
// an empty bucket takes to fill, a stranger may start with less than a full
// bucket and may be refused because another has spent it. A client whose bucket was
// full again when it lost its slot notices nothing, and hands a full bucket on.
// Choose [Config.MaxClients] well above the number of clients seen in
// burst÷rate seconds; a slot costs about 210 bytes.
package limit
