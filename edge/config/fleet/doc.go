// Package fleet is the fleet key of a configuration: it reads it, checks it and describes it.
//
// It knows the key's values and nothing that runs by them. It has no locks.
package fleet
