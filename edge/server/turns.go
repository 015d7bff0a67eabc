package server

import (
	"net/netip"
	"runtime"
	"sync"
)

// turns bound the handshakes that calculate at a time to half of the processors, so that a flood of them
// leaves the other half to requests. Clients take turns: one that has many under way waits for itself.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[netip.Prefix][]chan struct{} // of each client, the first in front
	clients []netip.Prefix                   // of waiting, in their turn
}

func newTurns() *turns {
	return &turns{free: max(1, runtime.GOMAXPROCS(0)/2), waiting: make(map[netip.Prefix][]chan struct{})}
}

// take waits for a turn. Those that have one calculate, and wait for nothing: so the wait is short, however
// many clients there are (maxPending).
func (t *turns) take(client netip.Prefix) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	ready := make(chan struct{})
	own := t.waiting[client]
	if len(own) == 0 {
		t.clients = append(t.clients, client)
	}
	t.waiting[client] = append(own, ready)
	t.mu.Unlock()
	<-ready
}

// give hands a turn on, to another client where one waits.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.clients) == 0 {
		t.free++
		return
	}
	client := t.clients[0]
	t.clients = t.clients[1:]
	own := t.waiting[client]
	close(own[0])
	if own = own[1:]; len(own) > 0 {
		t.waiting[client] = own
		t.clients = append(t.clients, client)
	} else {
		delete(t.waiting, client)
	}
}

// calculation is the part of a handshake between two waits for its client. It has a turn.
type calculation struct {
	turns  *turns
	client netip.Prefix
	turn   bool
}

func (c *calculation) GoOn() {
	if !c.turn {
		c.turns.take(c.client)
		c.turn = true
	}
}

func (c *calculation) Pause() {
	if c.turn {
		c.turn = false
		c.turns.give()
	}
}
