// Package sample is an npm registry that lives in this process: the master the
// edge starts when it is given none, and the origin its tests put in trouble.
//
// A [Store] holds packages; [Samples] makes one with a few small packages of
// this project, built in memory and the same on every run. A [Master] is an
// [http.Handler] over a Store and answers as the big public registry does, its
// quirks included: a 304 varies on less than the 200 did, tarballs carry
// Set-Cookie, an unknown version is a bare JSON string. Masters may share one
// Store, and [Master.Lag] keeps one of them in the past. [Master.Start] puts a
// Master on a loopback port:
//
//	store, err := sample.Samples()
//	…
//	master := sample.NewMaster(store, sample.Under("/registry"))
//	server, err := master.Start()
//	…
//	defer server.Close()
//	// npm install --registry "$URL" edge-sample-app, where URL is server.URL()
//
// A master has a change feed at /_changes, in CouchDB's plain, longpoll and
// continuous forms.
//
// # Trouble
//
// A [Fault] is one way of going wrong. [Master.Break] and [Master.BreakNext]
// apply faults to the requests that a [Match] picks:
//
//	gate := sample.NewGate()
//	master.BreakNext(1, sample.Suffix(".tgz"), sample.Drip(gate, 1024))
//	…                                             // start the client
//	<-master.Arrived(sample.Suffix(".tgz"))       // its request is here
//	gate.Step(3)                                  // 3 KiB leave
//	gate.Open()                                   // and then the rest
//
// No fault sleeps. A hang ends when its client goes away or the server closes.
// A request is carried out before its faults take effect, so a publish whose
// answer is cut has happened; the faults that answer in the place of the
// registry, such as [Status], say so.
//
// # What arrived
//
// A Master keeps the requests it received: [Master.Requests], [Master.Count]
// and [Master.Counts] tell how many there were, and [Master.Arrived] closes a
// channel when one is there, so that a test waits for events instead of time.
package sample
