// Package vault keeps the certificates of a fleet in a KV bucket of its engine, sealed, so that
// its edges have one certificate of a name and obtain it once.
//
// A [Vault] is a storage of certmagic. Each value is sealed by a key that the servers do not
// have, together with its name, so that they can neither read a private key nor exchange two.
// A lock is a lease that renews itself: two edges may hold it for a moment when one is cut off, and
// the price is then a certificate that is obtained twice.
//
// Each call is bounded by seconds. No handshake depends on them: certmagic has a local copy of
// each certificate beside the vault. The package does not know which names there are. Its lock,
// Vault.mu, guards the list of locks alone.
package vault
