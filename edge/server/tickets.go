package server

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

// ticketLife is how long session tickets are made with one key. They are taken for as long
// again. A key that leaks opens the sessions of a day, and no more.
const ticketLife = 12 * time.Hour

// tickets turns the keys of session tickets of a TLS configuration.
type tickets struct {
	config *tls.Config

	mu     sync.Mutex
	keys   [][32]byte // the newest first, two at most
	turned time.Time
}

// turn is called before each handshake.
func (t *tickets) turn(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late := now.Sub(t.turned)
	if len(t.keys) > 0 && late < ticketLife {
		return
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	next := [][32]byte{key}
	if len(t.keys) > 0 && late < 2*ticketLife {
		next = append(next, t.keys[0])
	}
	t.keys, t.turned = next, now
	t.config.SetSessionTicketKeys(t.keys)
}
