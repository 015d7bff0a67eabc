// Package counted shares values by key among their users, and forgets each with
// its last user.
//
// The program reloads its configuration by building a new one beside the old one.
// Their common knowledge (the health of a master, the writes of late) is kept in
// [Values]: the new configuration acquires it before the old one releases it. The
// package knows nothing of the values.
package counted
