// Package tls keeps the certificates the edge shows its clients.
//
// A [Manager] has one of two sources. A static pair of files is read when the
// Manager is made and again at each [Manager.Reload]; a pair that does not load
// leaves the one in use in place. For a list of domains certmagic obtains a
// certificate each from an ACME CA (RFC 8555), keeps them in a directory and
// renews them when two thirds of their life are over or the CA asks for it
// (RFC 9773).
//
// The CA proves that a domain is ours by TLS-ALPN-01 alone (RFC 8737): it
// connects to port 443 of the domain and the edge's own TLS listener answers, so
// port 80 may stay closed and nothing else needs to listen. The price is that
// wildcards, which need DNS, are refused.
//
// No handshake waits for the CA. The listener opens at once and serves the
// certificates in the directory. A name without one fails its handshakes until
// the CA has answered. Attempts are repeated for 30 days with growing pauses, and
// each failure is logged.
//
// The end of every certificate is watched, see [Status]: the log tells it ahead, in steps.
// A static pair is judged when it is loaded, as clients will judge it: its dates, its
// names, its key.
//
// Stapled OCSP answers are off, since the CAs in use have ended OCSP.
package tls
