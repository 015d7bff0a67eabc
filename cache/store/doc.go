// Package store is the vocabulary of stored responses: Key, Meta, Entry, Body, and the
// interfaces Store and Writer that each tier implements.
//
// The conformance suite of a Store is in storetest. The package knows neither files nor
// ristretto, nor when a stored response may be used: that is package policy.
package store
