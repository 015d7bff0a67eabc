// Package secure says where the encrypted listener is for a client that came to the plain one, and
// that browsers are to stay there (RFC 6797).
//
// It knows no listeners and no certificates. It has no locks.
package secure
