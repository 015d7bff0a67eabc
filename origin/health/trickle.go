package health

import "time"

// trickle is the requests of one class that are sent to masters in an outage: one at a
// time, so that a dead master makes nobody else wait, and a master that is well again is
// found by a request too. The group's mu guards it.
type trickle struct {
	busy     bool      // one is under way
	answered time.Time // when a request of the class was last answered; zero once one failed
}

// trickleOpen is how long after an answer the requests of its class are sent all at once.
// Probes may call a master dead that answers: they look at one path.
const trickleOpen = suspicion

// Enter asks whether a request of a class may be sent. In an outage it may where no
// other one of the class is under way, or where one was answered just now. leave is
// called when the request has ended.
func (g *Group) Enter(c Class) (leave func(answered bool), ok bool) {
	if !g.Down() {
		return func(bool) {}, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := &g.trickles[c]
	first := !t.busy
	if !first && time.Since(t.answered) >= trickleOpen {
		return nil, false
	}
	t.busy = true
	return func(answered bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !answered {
			t.answered = time.Time{}
		}
		if first {
			t.busy = false
		}
	}, true
}
