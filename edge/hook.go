package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/feed"
	"pkgedge/origin/kind"
)

const (
	hooksPath = "/hooks/"
	maxHook   = 1 << 20 // bytes of a hook's body
	hookTime  = 10 * time.Second
)

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
	x.site, x.route = s, kind.Route{Class: kind.Local, What: "hook"}
	if wait, ok := x.limiter.Take(x.client, x.start); !ok {
		x.limited(wait)
		return true
	}
	if s.secret == "" {
		x.refuse(cache.Refused, http.StatusNotFound, "no hook is set up here: set changes.secret")
		return true
	}
	x.missed() // a change, even one told again, costs a fetch
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
	if !signed(x.r.Header.Get("X-Npm-Signature"), body, s.secret) {
		return http.StatusForbidden, "the signature is wrong"
	}
	var told struct{ Event, Name string }
	if err := json.Unmarshal(body, &told); err != nil || !feed.ValidName(told.Name) {
		return http.StatusBadRequest, `the body is not a hook's: {"event": …, "name": …}`
	}
	err = s.pushed(feed.Change{Name: told.Name, Deleted: told.Event == "package:unpublish"})
	switch {
	case errors.Is(err, errHook):
		return http.StatusBadRequest, "the name is no package of this site"
	case err != nil:
		x.err = err
		return http.StatusServiceUnavailable, "the change could not be made durable: send it again"
	}
	return http.StatusNoContent, ""
}

// signed says whether signature is that of the body, in constant time.
func signed(signature string, body []byte, secret string) bool {
	given, ok := strings.CutPrefix(signature, "sha256=")
	sum, err := hex.DecodeString(given)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return ok && err == nil && hmac.Equal(sum, mac.Sum(nil))
}
