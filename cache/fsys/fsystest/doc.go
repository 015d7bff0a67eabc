// Package fsystest makes system calls fail, one at a time or all after a kill. Only tests
// import it.
package fsystest
