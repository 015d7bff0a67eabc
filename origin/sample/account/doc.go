// Package account has the users of a sample registry, and their tokens. It knows
// nothing of packages and requests. Its only lock guards both maps, and nothing is
// called under it.
package account
