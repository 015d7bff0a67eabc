// Package diff compares two configurations, key by key: for a reload, which tells what it has
// changed and what needs a restart, and keeps the sites that have not changed.
//
// It names keys as the file does and returns no values, some of which are secrets. It has no
// locks.
package diff
