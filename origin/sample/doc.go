// Package sample is an npm registry that lives in this process: the master that
// the edge starts when it is given none.
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
//	master := sample.NewMaster(store, sample.Options{Base: "/registry"})
//	server, err := master.Start()
//	…
//	defer server.Close()
//	// npm install --registry "$URL" edge-sample-app, where URL is server.URL()
//
// A master has a change feed at /_changes, in CouchDB's plain, longpoll and
// continuous forms.
//
// Package sample/faults puts a master in trouble, for tests. This package knows
// nothing of the edge: it is on the other side of the network.
//
// Lock order: Store.mu before notifier.mu. Every other lock is held alone, and reads
// of the content take none.
package sample
