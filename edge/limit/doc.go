// Package limit keeps the budgets of clients.
//
// A client has a bucket of tokens that fills at [Config.Rate] tokens a second up to
// [Config.Burst]. A request costs [Hit] when it arrives. One that is about to make a
// master work for a name that nothing is known of takes the rest of a [Miss] before it
// does, so that no client has more of them under way than its bucket pays for, and is given
// back the part that it turns out not to cost. [Limiter.Take] charges or refuses,
// [Limiter.Charge] charges in any case or gives back. Nothing in this package ever
// waits.
//
// A client is an IPv4 address, or a whole IPv6 /64: one subscriber has that many
// addresses, and may use any of them. An IPv4 address that arrives
// mapped into IPv6 is the IPv4 client.
//
// # A table that nobody can turn over
//
// Clients are strangers, and one of them may have any number of addresses. So no client has
// an entry, and none is ever evicted. The table is cells of a fixed number, and a client's
// budget is the fullest of the four cells that a keyed hash of its address
// selects, one in each row. A charge goes to all four.
//
//   - A drained client stays drained until time has filled its cells: there is nothing that
//     coming with other addresses could push out.
//   - A client loses to a stranger only if strangers have drained all four of its cells. With
//     a thousand drained addresses that meets one client in 18 million; with ten thousand,
//     one in 2,500.
//   - Many addresses that spend little spread evenly, and a cell fills as fast as a client's
//     whole budget does.
//   - No order of arrival, and no choice of addresses, says which cells are shared: the hash
//     has a random key.
//
// All cells together are 22 MiB at most, 2 MiB while none is in use. They stand in shards with a lock each. A client's cells are
// in one shard.
//
// # Things under way
//
// [Ceiling] bounds how many requests, bodies, misses and heads there are at a time, and
// [Shares] how many requests of a client are passed while others want to. They count things
// that are there, and evict nobody. Each has one lock, and no call is made under it.
package limit
