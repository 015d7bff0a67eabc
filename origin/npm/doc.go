// Package npm knows the npm registry: which endpoint a request asks for, which
// documents are made of a packument, and which digest a tarball must have. It
// implements [kind.Kind] and is pure: no clock, no network, no disk. It knows
// nothing of masters, of stored responses, or of lifetimes but its own defaults.
//
// # Routes
//
// Every spelling of a package name (/@s/n, /@s%2fn, /%40s%2Fn, …) is one key. The
// path for a master is written anew from the decoded name, and never copied from
// the client. Reads of packuments, versions, dist-tags, tarballs, signing keys and
// attestations are cacheable. Everything else passes, and a write names the stored
// responses that it makes stale.
//
// The package accepts the names that the registry accepts for an old package:
// letters of either case, digits and -_.!~*'() with at most one scope, at most 255
// bytes. That is wider than today's rule for new names (lower case, 214 bytes) and
// narrow enough that a name is safe unescaped in a URL, in JSON and in a log.
//
// # Packuments
//
// Package packument makes three documents of a packument: the full one, the
// abbreviated one, and a summary with the digests of the tarballs. See
// docs/decisions/0004 and 0006.
//
// # Policy
//
// A [Policy] lists packages and versions that a site withholds. Names and versions
// are refused where they are routed, and withheld versions are cut out of the
// packument before anything else is made of it. The keys of stored responses name
// the policy, and all else that documents depend on.
//
// # Private scopes
//
// A route says which scopes it names or mentions, so that they can be kept from a
// registry that must not hear of them. [StripAudit] takes them out of the one
// request whose body lists packages. Both rather see a scope too many.
package npm
