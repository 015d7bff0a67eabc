// Package tls keeps the certificates the edge shows its clients.
//
// A [Manager] has one of two sources. A static pair of files is read when the
// Manager is made and again at each [Manager.Reload]; a pair that does not load
// leaves the one in use in place. For a list of domains certmagic obtains a
// certificate each from an ACME CA (RFC 8555), keeps them in a directory and
// renews them when two thirds of their life are over or the CA asks for it
// (RFC 9773).
//
// The CA sees that a name is ours by TLS-ALPN-01 (RFC 8737), for which it connects to the
// edge's TLS listener, at port 443 of the name, or by HTTP-01 (RFC 8555 section 8.3), for
// which it connects to the plain one, at port 80: see [Manager.Challenges]. Nothing else
// needs to listen. The price is that wildcards, which need DNS, are refused. Requests
// of strangers in the CA's place are answered from memory, but for a few look-ups a second.
//
// No handshake waits for the CA, but for a name that is obtained on demand: its handshake
// waits for seconds. The listener opens at once and serves the certificates in the
// directory. A name without one fails its handshakes until the CA has answered. Attempts are
// repeated for 30 days with growing pauses, and each failure is logged. Only names of two
// lists are ever obtained.
//
// The end of every certificate is watched, see [Status]: the log tells it ahead, in steps.
// A static pair is judged when it is loaded, as clients will judge it: its dates, its
// names, its key.
//
// Stapled OCSP answers are off, since the CAs in use have ended OCSP.
package tls
