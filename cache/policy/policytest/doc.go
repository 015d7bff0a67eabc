// Package policytest makes the messages that tests of the cache begin with.
package policytest
