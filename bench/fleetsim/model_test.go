package fleetsim

import (
	"math"
	"time"
)

// The model of docs/fleet.md. It knows nothing of the code.

const (
	purgeBytes = 270 // a soft purge of a package in the log
	tickBytes  = 140 // a tick
)

// refreshes is how often a document is fetched in a second by a place that asks for it so many
// times a second, where it has a lifetime, and is published so many times a second.
func refreshes(asked, published float64, lifetime time.Duration) float64 {
	fresh := lifetime.Seconds()
	if published > 0 {
		fresh = (1 - math.Exp(-published*fresh)) / published
	}
	return 1 / (fresh + 1/asked)
}

// documents are the requests for documents at the masters.
func (p plan) documents(published float64, d time.Duration) (fleet, alone float64) {
	for pkg := range p.packages {
		of := published / d.Seconds() / float64(p.packages)
		fleet += float64(p.edges) / float64(p.pop) * d.Seconds() * refreshes(p.rate(pkg), of, p.lifetime)
		alone += float64(p.edges) * d.Seconds() * refreshes(p.rate(pkg)/float64(p.pop), 0, p.lifetime)
	}
	return fleet, alone
}

// files are the downloads at the masters: one for each place that asks, and with a shared store
// one for all. asking has for how long each place has asked.
func (p plan) files(asking []time.Duration) (places, store float64) {
	for pkg := range p.packages {
		all := 0.0
		for _, d := range asking {
			places += 1 - math.Exp(-p.rate(pkg)*d.Seconds())
			all += p.rate(pkg) * d.Seconds()
		}
		store += 1 - math.Exp(-all)
	}
	return places, store
}

// targets is how many packages are purged at least once by so many purges.
func (p plan) targets(purges int) float64 {
	return float64(p.packages) * (1 - math.Pow(1-1/float64(p.packages), float64(purges)))
}

// stored is the number of bytes in the log.
func (p plan) stored(purges int) float64 {
	return p.targets(purges)*purgeBytes + float64(p.edges)*tickBytes
}

// ticks is how many there are in a time.
func (p plan) ticks(d time.Duration) float64 {
	return float64(p.edges) * d.Seconds() / max(1, 0.003*float64(p.edges))
}
