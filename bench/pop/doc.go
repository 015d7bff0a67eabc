// Pop runs some edges of one pop as processes of their own, before a master that counts, and
// has a crowd of clients ask all of them for the same things in random orders:
//
//	go build -o edge ./edge && go run ./bench/pop --edge ./edge [--kill|--join]
//
// With --join it has three edges fetch 1,000 files, has a fourth one join empty and asked for all of
// them, and fails where fewer than 95 % come from its siblings, or the master is asked for more than 5 %.
//
// With --kill one edge dies by SIGKILL while the crowd is at work. It prints how many answers
// were wrong, how long the slowest took, and how often the master was asked for each thing. It
// fails where an answer was wrong, or a thing was fetched more than twice. All of it is on
// loopback, bounded, and ended by process id.
package main
