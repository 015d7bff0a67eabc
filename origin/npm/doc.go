// Package npm knows the npm registry: which endpoint a request asks for, what
// a packument becomes before it is kept, and what a tarball must hash to. It
// implements [kind.Kind] and is pure: no clock, no network, no disk.
//
// # Routes
//
// Every spelling of a package name (/@s/n, /@s%2fn, /%40s%2Fn, …) is one key,
// and what a master is asked for is written anew from the decoded name, never
// copied from the client. Reads of packuments, versions, dist-tags, tarballs,
// signing keys and attestations are cacheable; everything else passes, and a
// write names what it makes stale.
//
// A name is what the registry accepts for an old package: letters of either
// case, digits and -_.!~*'() with at most one scope, at most 255 bytes. That
// is wider than today's rule for new names (lower case, 214 bytes) and narrow
// enough that a name is safe unescaped in a URL, in JSON and in a log.
//
// # Packuments
//
// A full packument may be tens of megabytes, so it is neither decoded nor
// copied. One scan over its tokens writes two plans, lists of pieces of the
// source: the full document, where only the tarball URLs of the versions
// differ, and the abbreviated one that installers ask for. The plans cost a few
// percent of their source, and stream.
//
// A third document, the memo, lists the digest of every tarball, so that one can
// be checked without reading the packument again; where each version stands in
// the full document, so that a version can be served from it; and what tells
// whether another packument is older. See docs/decisions/0006.
//
// # Policy
//
// A [Policy] names what is withheld. Names and versions are refused where they are
// routed; withheld versions are cut out of the packument before anything else is
// made of it. Like all that documents are made under, it is in the keys of what is
// stored.
//
// # Private scopes
//
// A route says which scopes it names or mentions, so that they can be kept from a
// registry that must not hear of them; [StripAudit] takes them out of the one
// request whose body lists packages. Both rather see a scope too many.
package npm
