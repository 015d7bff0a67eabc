package server

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"sync"
	"time"
)

// ticketLife is how long session tickets are made with one key. They are taken for as long
// again. A key that leaks opens the sessions of a day, and no more.
const ticketLife = 12 * time.Hour

// tickets turns the keys of session tickets of a TLS configuration.
type tickets struct {
	config *tls.Config
	secret string // of several edges, which take each other's tickets; "" for one alone

	mu     sync.Mutex
	keys   [][32]byte // the newest first, two at most
	turned time.Time
}

// turn is called before each handshake.
func (t *tickets) turn(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secret != "" {
		t.turnShared(now)
		return
	}
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

// turnShared derives the keys of this half day, of the one before, and of the next one, which an
// edge whose clock is ahead may have begun. Edges need not talk for that. t.mu is held.
func (t *tickets) turnShared(now time.Time) {
	half := now.Truncate(ticketLife)
	if half.Equal(t.turned) {
		return
	}
	t.turned = half
	t.config.SetSessionTicketKeys([][32]byte{t.derive(half), t.derive(half.Add(-ticketLife)), t.derive(half.Add(ticketLife))})
}

// derive makes the key of a half day (RFC 5869).
func (t *tickets) derive(half time.Time) (key [32]byte) {
	b, err := hkdf.Key(sha256.New, []byte(t.secret), nil, fmt.Sprintf("edge session tickets 1 %d", half.Unix()), len(key))
	if err != nil {
		panic(err) // of a length that HKDF cannot have
	}
	return [32]byte(b)
}
