// Package gauges registers the figures of the edge's parts as metrics, which are read when they
// are scraped: names, help texts and labels are here.
//
// It is given functions that read a figure, and knows no part itself. It has no locks.
package gauges
