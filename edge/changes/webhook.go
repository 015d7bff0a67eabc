package changes

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

	"pkgedge/edge/site"
	"pkgedge/origin/feed"
)

const (
	// webhookPath, with a site's name behind it, takes the site's messages.
	webhookPath = "/hooks/"
	// maxMessage bounds a message's body, in bytes, and messageTime the time to
	// read it.
	maxMessage  = 1 << 20
	messageTime = 10 * time.Second
	// maxReading is how many bodies are read at a time, by all sites: anybody may
	// send one.
	maxReading = 8
	// A message that was put in force is not put in force again for an hour, and so
	// long as there are not that many newer ones: else a listener on the way could
	// have a package fetched for ever.
	messageMemory = time.Hour
	maxMessages   = 4096
)

// Webhooks take the messages of registries in the form of npm's webhooks, for all
// sites of the edge. The zero value is ready for use.
type Webhooks struct {
	reading atomic.Int32 // bodies

	mu      sync.Mutex
	applied []message // oldest first
}

// message is a webhook's message that was put in force.
type message struct {
	site string
	mac  string
	at   time.Time
}

// seen reports whether a message has been put in force of late.
func (h *Webhooks) seen(site, mac string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.applied, func(m message) bool {
		return m.mac == mac && m.site == site && now.Sub(m.at) < messageMemory
	})
}

// remember notes that a message has been put in force.
func (h *Webhooks) remember(site, mac string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.applied) >= maxMessages {
		h.applied = slices.Delete(h.applied, 0, maxMessages/8)
	}
	h.applied = append(h.applied, message{site, mac, now})
}

// SiteOf returns the name of the site whose webhook has a path.
func SiteOf(escapedPath string) (name string, ok bool) {
	return strings.CutPrefix(escapedPath, webhookPath)
}

// Receive takes a message for a site whose messages are signed with secret, and
// says how it is answered: with 204 and no body once the change is in force, else
// with a status and its reason. It sets the fields that go with the status. err is
// for the log.
func (h *Webhooks) Receive(w http.ResponseWriter, r *http.Request, s *site.Site, secret string) (status int, reason string, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, HEAD, POST")
		return http.StatusMethodNotAllowed, "a hook is posted", nil
	}
	mac, ok := signature(r.Header.Get("X-Npm-Signature"))
	if !ok {
		w.Header().Set("Connection", "close") // and do not wait for the body
		return http.StatusForbidden, "the signature is none: x-npm-signature: sha256=…, of 64 hexadecimal digits", nil
	}
	defer h.reading.Add(-1)
	if h.reading.Add(1) > maxReading {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close")
		return http.StatusServiceUnavailable, "too many hooks at a time: send it again", nil
	}
	control := http.NewResponseController(w)
	// An error means that the connection cannot have a deadline, as in tests.
	_ = control.SetReadDeadline(time.Now().Add(messageTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return http.StatusRequestEntityTooLarge, "a hook has 1 MiB at most", nil
	}
	if err != nil {
		return http.StatusBadRequest, "the body could not be read", err
	}
	_ = control.SetReadDeadline(time.Time{})
	if !signed(mac, body, secret) {
		return http.StatusForbidden, "the signature is wrong", nil
	}
	return h.apply(s, mac, body)
}

// apply puts in force the change that a signed message tells.
func (h *Webhooks) apply(s *site.Site, mac string, body []byte) (status int, reason string, err error) {
	now := time.Now()
	if h.seen(s.Name, mac, now) {
		return http.StatusNoContent, "", nil
	}
	var change struct{ Event, Name string }
	if err := json.Unmarshal(body, &change); err != nil || !feed.ValidName(change.Name) {
		return http.StatusBadRequest, `the body is not a hook's: {"event": …, "name": …}`, nil
	}
	err = s.ApplyPushed(site.Change{Package: change.Name, Deleted: change.Event == "package:unpublish"})
	switch {
	case errors.Is(err, site.ErrNoPackage):
		return http.StatusBadRequest, "the name is no package of this site", nil
	case err != nil:
		return http.StatusServiceUnavailable, "the change could not be made durable: send it again", err
	}
	h.remember(s.Name, mac, now)
	return http.StatusNoContent, "", nil
}

// signature reads the field of a message's signature. ok is false for a field that
// cannot be one.
func signature(field string) (mac string, ok bool) {
	digits, ok := strings.CutPrefix(field, "sha256=")
	raw, err := hex.DecodeString(digits)
	return string(raw), ok && err == nil && len(raw) == sha256.Size
}

// signed reports whether mac is that of the body, in constant time.
func signed(mac string, body []byte, secret string) bool {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hmac.Equal([]byte(mac), h.Sum(nil))
}
