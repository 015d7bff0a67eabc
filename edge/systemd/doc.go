// Package systemd speaks with the service manager of Linux: it takes the sockets that a
// socket unit has opened, see [Sockets], and tells of the state of the process, see
// [Notifier]. Without systemd, when its variables are not in the environment, both do
// nothing.
//
// The package knows nothing of the edge. It has no locks.
package systemd
