// Package diff compares two configurations, key by key: for a reload, which tells the keys that it
// has changed and those that need a restart, and keeps the sites that have not changed.
//
// It names keys as the file does and returns no values, some of which are secrets. It has no
// locks.
package diff
