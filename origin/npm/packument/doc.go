// Package packument makes of a packument, the document in which the npm registry
// lists the versions of a package, the documents that are stored and served.
//
// A packument may be tens of megabytes, so that it is neither decoded nor copied.
// A [Reader] scans its tokens once and writes two plans: lists of pieces of the
// source, with texts of our own between them. The full document differs from its
// source in the tarball URLs alone; the abbreviated one has the members that an install needs.
// A plan costs a few percent of its source, and streams.
//
// The third document is the summary of the other two: the digest of every tarball,
// and its place where that is not the usual one (see [Find] and place.go), where each version stands in the full document, and the date and
// versions by which an older packument is known. Versions that a site withholds are cut out
// of the source before anything is made of it.
//
// The package knows no request, no route and no policy: the rule for withheld
// versions is handed in. It is pure: no clock, no network, no disk.
package packument
