package fastlane

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/edge/framing"
)

const (
	// MaxBody is the size of the largest body, in bytes, that the lane sends. A larger one
	// takes so long that the lane gains nothing.
	MaxBody = 8 << 20
	// copied is the size of the largest body that is copied behind its head. Two parts of
	// an answer in one system call cost more, below that.
	copied = 16 << 10
	// AnswerSize is about the memory of an answer in the table, in bytes, without the body.
	AnswerSize = 2 << 10
)

// Lane repeats answers. It is safe for concurrent use.
type Lane struct {
	identity []byte
	answers  table
	draining atomic.Bool
}

// New returns a lane that remembers so many answers, and answers no request that has passed
// an edge of that identity.
func New(identity string, answers int) *Lane {
	return &Lane{identity: []byte(identity), answers: newTable(answers)}
}

// Offer keeps an answer of the slow path.
func (l *Lane) Offer(o *Offer) {
	if a := newAnswer(o); a != nil {
		l.answers.put(a)
	}
}

// Knows reports whether the lane has an answer of that key which could be given now.
func (l *Lane) Knows(key string, now time.Time) bool {
	a := l.answers.find([]byte(key))
	if a == nil {
		return false
	}
	body, _, ok := a.lookup.Find(now)
	if body.Open != nil {
		body.Open.Close()
	}
	return ok
}

// Forget drops all answers.
func (l *Lane) Forget() { l.answers.clear() }

// Drain ends the lane: requests are left to net/http, which closes connections politely.
func (l *Lane) Drain() { l.draining.Store(true) }

// work is the memory of one answer.
type work struct {
	request Request
	out     []byte
}

var works = sync.Pool{New: func() any { return new(work) }}

// Answer implements framing.Lane.
func (l *Lane) Answer(c *framing.Conn, h *framing.Head) (answered bool, err error) {
	if l.draining.Load() {
		return false, nil
	}
	w := works.Get().(*work)
	defer works.Put(w)
	if !w.request.read(h, c.Secure(), l.identity) {
		return false, nil
	}
	a := l.answers.find(w.request.key)
	if a == nil {
		return false, nil
	}
	status := a.status(&w.request)
	if status == 0 {
		return false, nil
	}
	now := time.Now()
	body, figures, ok := a.lookup.Find(now)
	if !ok {
		return false, nil
	}
	if body.Open != nil {
		defer body.Open.Close()
	}
	w.request.Peer, w.request.TLS = c.Peer(), c.TLS()
	client, ok := a.lookup.Begin(&w.request, now)
	if !ok {
		return false, nil
	}
	head := &a.whole
	if status == http.StatusNotModified {
		head, body = &a.same, framing.Body{}
	}
	sent, err := w.send(c, head, &body, now, &figures)
	a.lookup.End(&w.request, client, now, status, sent, err)
	return true, err
}

// Request is a request that may be answered by the lane. It is valid during a call.
type Request struct {
	Peer      netip.Addr // of the connection
	Forwarded []byte     // the value of X-Forwarded-For, nil for none
	Agent     []byte     // the value of User-Agent, nil for none
	ID        []byte     // the value of X-Request-Id, nil for none
	Trace     []byte     // the value of Traceparent, nil for none
	TLS       uint16     // the version of TLS, as in crypto/tls, 0 without

	key         []byte // see appendKey
	ifNoneMatch []byte
	steers      bool // has Cache-Control or Pragma, which only some sites obey
	dated       bool // has If-Modified-Since, which counts where If-None-Match does not match
}

// field is the lane's view of a field of a request.
type field uint8

const (
	unknown  field = iota // of no known effect: not for the lane
	harmless              // of none
	host
	accept
	acceptEncoding
	connection
	ifNoneMatch
	ifModifiedSince
	cacheControl // or Pragma
	userAgent
	forwardedFor
	requestID
	traceparent
	hops // Via, CDN-Loop
)

// longestName is the length of the longest name that kindOf knows whole.
const longestName = len("if-modified-since")

// kindOf says how the lane takes a field. The names that it does not know are not for the
// lane, but for those that npm makes up.
func kindOf(name []byte) field {
	if len(name) > longestName {
		return unknown
	}
	var buf [longestName]byte
	lower := buf[:len(name)]
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower) {
	case "host":
		return host
	case "accept":
		return accept
	case "accept-encoding":
		return acceptEncoding
	case "connection":
		return connection
	case "if-none-match":
		return ifNoneMatch
	case "if-modified-since":
		return ifModifiedSince
	case "cache-control", "pragma":
		return cacheControl
	case "user-agent":
		return userAgent
	case "x-forwarded-for":
		return forwardedFor
	case "x-request-id":
		return requestID
	case "traceparent":
		return traceparent
	case "via", "cdn-loop":
		return hops
	case "accept-language", "referer", "dnt", "priority", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest",
		"tracestate", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip":
		return harmless
	}
	if bytes.HasPrefix(lower, npmPrefix) || bytes.HasPrefix(lower, pacotePrefix) {
		return harmless
	}
	return unknown
}

var npmPrefix, pacotePrefix = []byte("npm-"), []byte("pacote-")

// read reads a head. It is false for a request that is not for the lane: of another method
// or version, with a body, or with a field that is not known to be harmless.
func (r *Request) read(h *framing.Head, secure bool, identity []byte) bool {
	*r = Request{key: r.key[:0]}
	if string(h.Method) != http.MethodGet || h.Minor != 1 || h.Target[0] != '/' {
		return false
	}
	var at, accepts, encodings []byte
	seen := uint32(0)
	for i := range h.Fields {
		f := &h.Fields[i]
		kind := kindOf(f.Name)
		if kind == unknown {
			return false
		}
		if kind == harmless {
			continue
		}
		if bit := uint32(1) << kind; seen&bit != 0 && kind != hops && kind != cacheControl {
			return false
		} else {
			seen |= bit
		}
		switch kind {
		case host:
			at = f.Value
		case accept:
			accepts = f.Value
		case acceptEncoding:
			encodings = f.Value
		case connection:
			if !isKeepAlive(f.Value) {
				return false
			}
		case ifNoneMatch:
			r.ifNoneMatch = f.Value
		case ifModifiedSince:
			r.dated = true
		case cacheControl:
			r.steers = true
		case userAgent:
			r.Agent = f.Value
		case forwardedFor:
			r.Forwarded = f.Value
		case requestID:
			r.ID = f.Value
		case traceparent:
			r.Trace = f.Value
		case hops:
			if bytes.Contains(f.Value, identity) {
				return false // it has passed this edge
			}
		}
		if len(f.Value) == 0 {
			return false // an empty list is not the same as none
		}
	}
	if at == nil {
		return false
	}
	r.key = appendKey(r.key, secure, at, h.Target, accepts, encodings)
	return true
}

func isKeepAlive(value []byte) bool {
	return string(value) == "keep-alive" || string(value) == "Keep-Alive"
}

// appendKey makes the key of an answer: all of a request that it depends on. No part of it
// has a line feed.
func appendKey[T []byte | string](key []byte, secure bool, host, target, accept, acceptEncoding T) []byte {
	if secure { // answers over TLS may have one field more
		key = append(key, 's')
	}
	key = append(key, '\n')
	for _, part := range [...]T{host, target, accept, acceptEncoding} {
		key = append(append(key, part...), '\n')
	}
	return key
}

// KeyOf returns the key of a request that net/http has read. It is "" for a request that is
// not for the lane.
func KeyOf(r *http.Request) string {
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.ContentLength != 0 || !strings.HasPrefix(r.RequestURI, "/") || r.Host == "" {
		return ""
	}
	for name, values := range r.Header {
		if kindOf([]byte(name)) == unknown || len(values) != 1 || values[0] == "" {
			return ""
		}
	}
	return string(appendKey(nil, r.TLS != nil, r.Host, r.RequestURI, r.Header.Get("Accept"), r.Header.Get("Accept-Encoding")))
}

// ways is the number of slots that a key may be in.
const ways = 4

// table finds answers by their keys. It has a fixed number of slots, and no lock: a slot is
// replaced as a whole.
type table struct {
	seed  maphash.Seed
	slots []atomic.Pointer[answer]
}

func newTable(size int) table {
	n := 1 << bits.Len(uint(max(size, ways)-1))
	return table{maphash.MakeSeed(), make([]atomic.Pointer[answer], n)}
}

// set returns the slots of a hash.
func (t *table) set(hash uint64) []atomic.Pointer[answer] {
	i := int(hash) & (len(t.slots) - 1) &^ (ways - 1)
	return t.slots[i : i+ways]
}

func (t *table) find(key []byte) *answer {
	hash := maphash.Bytes(t.seed, key)
	for i := range t.set(hash) {
		if a := t.set(hash)[i].Load(); a != nil && a.hash == hash && a.key == string(key) {
			return a
		}
	}
	return nil
}

// put keeps an answer in the place of one with its key, or in an empty slot, or else in the
// place of any.
func (t *table) put(a *answer) {
	a.hash = maphash.String(t.seed, a.key)
	set := t.set(a.hash)
	at := -1
	for i := range set {
		old := set[i].Load()
		if old != nil && old.key == a.key {
			at = i
			break
		}
		if old == nil && at < 0 {
			at = i
		}
	}
	if at < 0 {
		at = rand.IntN(ways)
	}
	set[at].Store(a)
}

func (t *table) clear() {
	for i := range t.slots {
		t.slots[i].Store(nil)
	}
}
