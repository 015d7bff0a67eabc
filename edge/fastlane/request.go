package fastlane

import (
	"bytes"
	"net/http"
	"net/netip"
	"strings"

	"pkgedge/edge/framing"
)

// Request is a request that may be answered by the lane. It is valid during a call.
type Request struct {
	Peer      netip.Addr // of the connection
	Forwarded []byte     // the value of X-Forwarded-For, nil for none
	Agent     []byte     // the value of User-Agent, nil for none
	ID        []byte     // the value of X-Request-Id, nil for none

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
	case "via", "cdn-loop":
		return hops
	case "accept-language", "referer", "dnt", "priority", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest",
		"x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip":
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
func (r *Request) read(h *framing.Head, identity []byte) bool {
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
	r.key = appendKey(r.key, at, h.Target, accepts, encodings)
	return true
}

func isKeepAlive(value []byte) bool {
	return string(value) == "keep-alive" || string(value) == "Keep-Alive"
}

// appendKey makes the key of an answer: all of a request that it depends on. No part of it
// has a line feed.
func appendKey[T []byte | string](key []byte, host, target, accept, acceptEncoding T) []byte {
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
	return string(appendKey(nil, r.Host, r.RequestURI, r.Header.Get("Accept"), r.Header.Get("Accept-Encoding")))
}
