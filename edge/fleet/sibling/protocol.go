package sibling

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// root is where the listener answers. The name of a site follows, and the path of a thing at
// its masters.
const root = "/fleet/v1/"

// Fields of the requests and responses between edges. A master's own fields with this prefix
// are not handed on.
const (
	fieldPrefix = "Edge-Fleet-"
	fieldFrom   = fieldPrefix + "From"   // the edge that asks: not its name, but this process
	fieldClient = fieldPrefix + "Client" // the address of its client
	fieldStored = fieldPrefix + "Stored" // nothing but a stored answer is wanted, and no wait for one
	fieldPurged = fieldPrefix + "Purged" // how long ago a purge was, in nanoseconds
	fieldMaster = fieldPrefix + "Master" // that gave the answer
	fieldAge    = fieldPrefix + "Age"    // how long ago it did, or confirmed it, in nanoseconds
	fieldWhy    = fieldPrefix + "Why"    // there is no answer, in one word
)

// The reasons for no answer.
const (
	whyStranger = "stranger" // 401
	whyUnknown  = "unknown"  // 404: no such site or thing, or one that is not shared
	whyAbsent   = "absent"   // 404: it has none stored, and another one is not wanted
	whyWaiting  = "waiting"  // 409: it waits for another edge itself
	whyOlder    = "older"    // 412: it has one from before the purge
	whySelf     = "self"     // 421: the edge has asked itself
	whyFailed   = "failed"   // 502: the masters did not answer it, or not so that it is shared
	whyBusy     = "busy"     // 503: too many requests at once
)

// Token is the secret that the edges of a fleet share. The zero Token admits nobody.
type Token struct {
	set bool
	sum [sha256.Size]byte
	raw string
}

// NewToken returns the token of a text, "" for none.
func NewToken(text string) Token {
	return Token{text != "", sha256.Sum256([]byte(text)), text}
}

// admits compares a request's token in constant time.
func (t *Token) admits(h http.Header) bool {
	lines := h["Authorization"]
	if len(lines) != 1 {
		return false
	}
	given, ok := strings.CutPrefix(lines[0], "Bearer ")
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 && ok && t.set
}

func formatAge(d time.Duration) string { return strconv.FormatInt(int64(max(0, d)), 10) }

// parseAge reads an age. ok is false where there is none that can be read.
func parseAge(text string) (d time.Duration, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Duration(n), err == nil && n >= 0
}
