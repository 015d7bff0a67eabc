package server

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// calm has clients whose connections of HTTP/2 ended in a flood wait before the next one: a second, and
// twice as long for each further flood. One that floods, is cut off and connects again at once would go on as
// before. Clients that are in it are never pushed out by others.
type calm struct {
	mu      sync.Mutex
	clients map[netip.Prefix]flooder
}

type flooder struct {
	until time.Time
	wait  time.Duration
}

const (
	firstCalm   = time.Second
	longestCalm = 32 * time.Second
	forgiven    = time.Minute // without a flood
	maxFlooders = 4096
)

var errFlooder = errors.New("the client has flooded a connection just now")

// add notes a flood of a client.
func (c *calm) add(client netip.Prefix, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients == nil {
		c.clients = make(map[netip.Prefix]flooder)
	}
	f, known := c.clients[client]
	if !known && len(c.clients) >= maxFlooders {
		for other, f := range c.clients {
			if now.Sub(f.until) > forgiven {
				delete(c.clients, other)
			}
		}
		if len(c.clients) >= maxFlooders {
			return
		}
	}
	switch {
	case !known || now.Sub(f.until) > forgiven:
		f.wait = firstCalm
	case now.Before(f.until): // a further connection from before
		return
	default:
		f.wait = min(2*f.wait, longestCalm)
	}
	f.until = now.Add(f.wait)
	c.clients[client] = f
}

// refuses says whether a client has to wait.
func (c *calm) refuses(client netip.Prefix, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Before(c.clients[client].until)
}
