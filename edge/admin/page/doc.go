// Package page is the page that a person looks at: / of the admin listener. It is one
// HTML document without requests to anywhere but this listener, and a stream of events
// that it lives by.
//
//   - document.go: [Document] puts page.html, page.css, page.js and uPlot together, and says
//     by hashes that a browser may run no other script
//   - events.go: [Events] sends the state every two seconds, and new samples of the last hour
//   - state.go: the state, from the status in the sentences of package report
//
// uplot/ is uPlot 1.6.32 as published, with its licence: the plots.
//
// The page changes nothing by itself. Its buttons send the requests of package admin,
// with the token in a header; the page keeps that in memory until it is closed. It asks for
// the token first where the stream needs it: the stream names packages.
//
// The package knows nothing of how the parts of the edge find their state. It has no lock.
package page
