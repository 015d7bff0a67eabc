// Package faults puts the sample masters in trouble. Tests import it, and the
// program does not: edge/arrows_test.go holds that.
//
// A [Master] is a [sample.Master] that keeps the requests it received, and to
// which [Master.Break] and [Master.BreakNext] apply faults. A [Fault] is one way of
// going wrong, and a [Match] picks the requests it is for:
//
//	gate := faults.NewGate()
//	master.BreakNext(1, faults.Suffix(".tgz"), faults.Drip(gate, 1024))
//	…                                             // start the client
//	<-master.Arrived(faults.Suffix(".tgz"))       // its request is here
//	gate.Step(3)                                  // 3 KiB leave
//	gate.Open()                                   // and then the rest
//
// No fault sleeps. A hang ends when its client goes away or the server closes.
// A request is carried out before its faults take effect, so a publish whose
// answer is cut has happened; the faults that answer in the place of the
// registry, such as [Status], say so.
//
// [Master.Requests], [Master.Count] and [Master.Counts] tell which requests there
// were, and [Master.Arrived] closes a channel when one is there, so that a test
// waits for events instead of time.
//
// The package knows nothing of the edge, and of the registry only how an answer
// of it is sent. Each lock here is the innermost one: nothing is called under it
// but a Match. Its tests are those of package sample.
package faults
