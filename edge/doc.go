// Command edge stands between package clients and the masters of a registry.
// It answers metadata and tarballs from memory and disk, makes one origin fetch
// out of any number of concurrent misses, and goes on answering when every
// master is down.
//
// Package command reads the command line, and package daemon is the edge at work.
// ARCHITECTURE.md shows the way through the house.
package main
