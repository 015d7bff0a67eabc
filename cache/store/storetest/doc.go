// Package storetest is the contract of store.Store as tests, and helpers for tests that
// need stored responses. Only tests import it.
package storetest
