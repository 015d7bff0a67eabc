package sibling

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"pkgedge/edge/fleet/members"
	"pkgedge/origin"
)

// Members is the list of the edges that share their fetches, this one among them, as they are
// to be reached: addresses with ports. All edges have the same list but for a while, and none
// changes a list that was returned. It is called for each fetch.
type Members interface{ Members() []string }

// Config describes a client.
type Config struct {
	Members Members
	Token   string      // "" where a certificate alone names the edge that asks
	TLS     *tls.Config // nil for plain HTTP
	Log     *slog.Logger

	Identity string // this edge's name in Via and CDN-Loop

	Silence time.Duration // after which a sibling that says nothing is given up; 0 for 200 ms
	Longest time.Duration // after which one is that has not begun its answer; 0 for 10 s
}

const (
	silence = 200 * time.Millisecond
	longest = 10 * time.Second
)

// Client asks the siblings of an edge. It is safe for concurrent use.
type Client struct {
	cfg       Config
	id        string // of this process, by which it knows itself
	token     Token
	transport *http.Transport
	scheme    string
	peers     peers
	met       map[string]bool // see Meet
	asking    asking
	counts    counts
}

// NewClient returns a client.
func NewClient(cfg Config) *Client {
	if cfg.Silence == 0 {
		cfg.Silence = silence
	}
	if cfg.Longest == 0 {
		cfg.Longest = longest
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, id: rand.Text(), token: NewToken(cfg.Token), scheme: "http", met: make(map[string]bool)}
	if cfg.TLS != nil {
		c.scheme = "https"
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true) // one slow reader must not hold up the files of others
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	c.transport = &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 64, MaxConnsPerHost: 512, IdleConnTimeout: 60 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		DisableCompression: true, WriteBufferSize: 4 << 10, ReadBufferSize: 64 << 10, Protocols: &protocols,
	}
	return c
}

// meetEvery is the time between two looks at the list of members for new ones.
const meetEvery = 10 * time.Second

// Run greets each new member, until ctx is done, so that this edge knows its own address
// before it is the owner of something.
func (c *Client) Run(ctx context.Context) {
	for {
		c.Meet(ctx)
		select {
		case <-time.After(meetEvery):
		case <-ctx.Done():
			return
		}
	}
}

// Meet greets the members that have not answered so far. One goroutine at a time calls it.
func (c *Client) Meet(ctx context.Context) {
	for _, m := range c.cfg.Members.Members() {
		if c.met[m] {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, dialTimeout)
		c.met[m] = c.introduce(asking, m)
		cancel()
	}
}

// introduce greets a member, and says whether that has answered: this edge tells that it has
// greeted itself.
func (c *Client) introduce(ctx context.Context, member string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.scheme+"://"+member+root, nil)
	if err != nil {
		return false
	}
	c.sign(req.Header)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	if resp.Header.Get(fieldWhy) == whySelf {
		c.peers.isSelf(member)
	}
	return true
}

// sign says which edge a request is of.
func (c *Client) sign(h http.Header) {
	h.Set("User-Agent", "pkgedge")
	h.Set(fieldFrom, c.id)
	if c.token.set {
		h.Set("Authorization", "Bearer "+c.token.raw)
	}
}

// dialTimeout bounds a dial that goes on after its request was given up.
const dialTimeout = time.Second

// Close closes the connections that no request uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Site is the nearer source of a site's answers.
func (c *Client) Site(name string) origin.Nearer { return source{c, name} }

// source asks the siblings for the things of one site.
type source struct {
	*Client
	site string
}

// keyOf names a thing for the choice of its owner, and for the guard against circles.
func keyOf(site, path string) string { return site + "\x00" + path }

// mostAsked is how many owners are asked for one thing: the next one where one has failed, for
// all edges then go there.
const mostAsked = 2

// Ask asks the owner of a thing for it. Where that is this edge, and it has nothing, it asks the
// one that is next, which owned the thing before this edge joined, for a stored answer. Ask is nil
// where the member says no, and where none answers in time.
func (s source) Ask(ctx context.Context, r *origin.Request) *origin.Found {
	if r.ForAnother {
		return nil
	}
	key, failed := keyOf(s.site, r.Route.Path), ""
	for range mostAsked {
		owner, stored := s.choose(key, failed), false
		if owner == "" && r.ETag == "" && r.LastModified == "" {
			owner, stored = s.next(key, failed), true
		}
		if owner == "" || !s.peers.begin(owner, time.Now()) {
			return nil
		}
		s.counts.asked.Add(1)
		s.asking.add(key, 1)
		found, ok := s.askOwner(ctx, owner, r, stored)
		s.asking.add(key, -1)
		if ok || stored || ctx.Err() != nil {
			return found
		}
		failed = owner
	}
	return nil
}

// choose is the member to ask for a thing: its owner, but for one that has just failed. It is
// "" for this edge, and where there is none. Where this edge knows its address, it asks those
// alone that come before it in the order of their hashes, under any list: then no circle of
// such edges waits for itself.
func (c *Client) choose(key, failed string) string {
	now, self := time.Now(), c.peers.own()
	usable := func(m string) bool { return m != failed && c.peers.usable(m, now) }
	owner := members.Owner(c.cfg.Members.Members(), key, usable)
	if owner == "" || self == "" {
		return owner
	}
	if owner = members.Owner([]string{owner, self}, key, usable); owner == self {
		return ""
	}
	return owner
}

// next is the member that owns a thing where this edge does not count, but for one that has just
// failed. It is "" where there is none, and while this edge does not know its address.
func (c *Client) next(key, failed string) string {
	now, self := time.Now(), c.peers.own()
	if self == "" {
		return ""
	}
	return members.Owner(c.cfg.Members.Members(), key, func(m string) bool { return m != self && m != failed && c.peers.usable(m, now) })
}

// counts are of the requests of one client.
type counts struct {
	asked, answered, refused, failed, unusable, bytes atomic.Int64
	served, servedBytes, strangers, declined          atomic.Int64 // of the listener
}

// Owner is the member that fetches a path of a site, for an operator.
func (c *Client) Owner(site, path string) string {
	now := time.Now()
	return members.Owner(c.cfg.Members.Members(), keyOf(site, path), func(m string) bool { return c.peers.usable(m, now) })
}

func addrOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
