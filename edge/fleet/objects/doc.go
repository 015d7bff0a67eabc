// Package objects keeps files in a store that edges of all places share: any that speaks S3.
//
// The store is one more source of the masters' files ([Store.Site], a pool.Nearer), asked
// before the masters, and by the owner alone, since its siblings ask the owner. A file is
// found by its digest (cas/sha512/…), so that nothing is asked where none is known, and
// nothing that it sends is believed: the digest is checked, as any master's is.
//
// Files that a master gave are put there after they were stored here ([Store.Keep]), from the
// stored bytes, by one worker behind a bounded queue: one too many is dropped, and counted.
// With the bytes go the master's fields, its name, and the time.
//
//	fetch ─► pool ─► Ask ──GET──► store          stored ─► Keep ─► queue ─► Run ──HEAD, PUT──► store
//
// A store that hangs or fails is out: nobody waits for it. Run tries it again by itself, with
// a growing backoff, so that no request pays for the trial. While it is out files are dropped.
//
// Requests are signed by AWS's own signer, and sent over a transport of this package, with
// bounded waits. The rest of the SDK is not used (docs/decisions/0035).
//
// The package knows neither caches nor sites. Lock: health.mu stands alone.
package objects
