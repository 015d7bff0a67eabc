// Package report is the status of an edge: the document that GET /status
// answers, and its text for a terminal.
//
//   - status.go has the document. The edge fills it in, and [Parse] reads it back
//     from an edge that may be newer.
//   - text.go writes [Status.Text]: a headline, the problems, a table of masters
//     for each site, the cache.
//   - trouble.go finds the problems and sorts them by how urgent they are.
//   - words.go has durations, byte counts and safe text for a terminal; refusal.go
//     the reason of a refused request.
//
// The package makes no request, and knows nothing of the configuration. All texts of a document
// may come from a foreign server: the text has no control characters, and no line
// wider than a terminal. A fuzz test checks that for any document.
package report
