// Package quarantine keeps corrupt files for an operator to look at, within a bound.
//
// It knows names and sizes, and nothing of a file's bytes. Its lock is held over the removal
// of files: they are rare, and no request waits for it.
package quarantine
