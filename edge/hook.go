package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
)

const (
	hooksPath = "/hooks/"
	maxHook   = 1 << 20 // bytes of a hook's body
	hookTime  = 10 * time.Second

	// maxHooksRead is how many bodies are read at a time, by all sites: anybody may
	// send one.
	maxHooksRead = 8
	// A message that was put in force is not put in force again for an hour, and so
	// long as there are not that many newer ones: whoever overhears one could have a
	// package fetched for ever.
	hookMemory   = time.Hour
	maxHooksKept = 4096
)

// hooks is what the hooks of all sites share. The zero value is ready for use.
type hooks struct {
	reading atomic.Int32 // bodies

	mu    sync.Mutex
	heard []message // oldest first
}

// message is a hook's message that was put in force.
type message struct {
	site string
	mac  string
	at   time.Time
}

// known says whether a message has been put in force of late.
func (h *hooks) known(site, mac string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.heard, func(m message) bool {
		return m.mac == mac && m.site == site && now.Sub(m.at) < hookMemory
	})
}

// note remembers a message that has been put in force.
func (h *hooks) note(site, mac string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.heard) >= maxHooksKept {
		h.heard = slices.Delete(h.heard, 0, maxHooksKept/8)
	}
	h.heard = append(h.heard, message{site, mac, now})
}

// hooked answers a request to /hooks/{site}: a registry that tells of a change in
// the form of npm's webhooks. It reports false for everything else, which may be a
// package: GET /hooks/npm asks for a version of the package "hooks".
func (x *exchange) hooked() bool {
	name, ok := strings.CutPrefix(x.r.URL.EscapedPath(), hooksPath)
	if !ok || x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		return false
	}
	s, ok := x.running.site(name)
	if !ok {
		return false
	}
	x.site, x.route = s, kind.Route{Class: kind.Local, Endpoint: "hook"}
	if wait, ok := x.limiter.Take(x.client, x.start); !ok {
		x.limited(wait)
		return true
	}
	if s.secret == "" {
		x.refuse(cache.Refused, http.StatusNotFound, "no hook is set up here: set changes.secret")
		return true
	}
	x.missed() // a change costs a fetch
	status, reason := x.hook(s)
	if status != http.StatusNoContent {
		x.refuse(cache.Refused, status, reason)
		return true
	}
	x.outcome = cache.Local
	x.header().Set("Cache-Control", "no-store")
	x.header().Set("Cache-Status", "edge; detail="+cache.Local.String())
	x.none(http.StatusNoContent)
	return true
}

// hook takes a hook's message and says what became of it.
func (x *exchange) hook(s *site) (status int, reason string) {
	if x.r.Method != http.MethodPost {
		x.header().Set("Allow", "GET, HEAD, POST")
		return http.StatusMethodNotAllowed, "a hook is posted"
	}
	mac, ok := signature(x.r.Header.Get("X-Npm-Signature"))
	if !ok {
		x.header().Set("Connection", "close") // and do not wait for the body
		return http.StatusForbidden, "the signature is none: x-npm-signature: sha256=…, of 64 hexadecimal digits"
	}
	defer s.hooks.reading.Add(-1)
	if s.hooks.reading.Add(1) > maxHooksRead {
		x.header().Set("Retry-After", "1")
		x.header().Set("Connection", "close")
		return http.StatusServiceUnavailable, "too many hooks at a time: send it again"
	}
	// An error means that the connection cannot have one, as in tests.
	_ = x.control.SetReadDeadline(time.Now().Add(hookTime))
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxHook))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return http.StatusRequestEntityTooLarge, "a hook has 1 MiB at most"
	}
	if err != nil {
		x.err = err
		return http.StatusBadRequest, "the body could not be read"
	}
	_ = x.control.SetReadDeadline(time.Time{})
	if !signed(mac, body, s.secret) {
		return http.StatusForbidden, "the signature is wrong"
	}
	if s.hooks.known(s.name, mac, x.start) {
		return http.StatusNoContent, ""
	}
	var change struct{ Event, Name string }
	if err := json.Unmarshal(body, &change); err != nil || !feed.ValidName(change.Name) {
		return http.StatusBadRequest, `the body is not a hook's: {"event": …, "name": …}`
	}
	err = s.pushed(feed.Change{Name: change.Name, Deleted: change.Event == "package:unpublish"})
	switch {
	case errors.Is(err, errHook):
		return http.StatusBadRequest, "the name is no package of this site"
	case err != nil:
		x.err = err
		return http.StatusServiceUnavailable, "the change could not be made durable: send it again"
	}
	s.hooks.note(s.name, mac, x.start)
	return http.StatusNoContent, ""
}

// signature reads the field that has it. ok is false for what cannot be one.
func signature(field string) (mac string, ok bool) {
	digits, ok := strings.CutPrefix(field, "sha256=")
	raw, err := hex.DecodeString(digits)
	return string(raw), ok && err == nil && len(raw) == sha256.Size
}

// signed says whether mac is that of the body, in constant time.
func signed(mac string, body []byte, secret string) bool {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hmac.Equal([]byte(mac), h.Sum(nil))
}
