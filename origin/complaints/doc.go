// Package complaints bounds the lines of a log about one kind of trouble: a master that is down
// fails hundreds of requests a second.
//
// It knows no masters and no log. Its lock, Complaints.mu, guards its table.
package complaints
