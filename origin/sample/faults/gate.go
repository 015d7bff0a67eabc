package faults

import (
	"context"
	"sync"
)

// Gate lets a fault go on step by step, at the word of a test. It is safe for
// concurrent use, and all faults that wait at it share its steps.
type Gate struct {
	mu      sync.Mutex
	steps   int
	open    bool
	changed chan struct{} // closed, and made anew, by every change
}

// NewGate makes a closed gate.
func NewGate() *Gate { return &Gate{changed: make(chan struct{})} }

// Step lets n more steps through, now or when they are wanted.
func (g *Gate) Step(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.steps += n
	close(g.changed)
	g.changed = make(chan struct{})
}

// Open lets everything through from now on.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	close(g.changed)
	g.changed = make(chan struct{})
}

// pass waits for one step. Its error is that of the context.
func (g *Gate) pass(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.open || g.steps > 0 {
			if !g.open {
				g.steps--
			}
			g.mu.Unlock()
			return nil
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
