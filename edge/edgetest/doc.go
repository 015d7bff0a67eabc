// Package edgetest has small helpers that the tests of several rooms of the edge
// share. Only tests import it. It knows no room.
package edgetest
