package purgelog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"pkgedge/cache/purge"
)

// Entry is a purge as the log has it.
type Entry struct {
	purge.Purge
	// Change says that a registry's feed told of it. An edge that has nothing of the package
	// needs no mark for it, and the log forgets it after changeKept.
	Change bool `json:"change,omitempty"`
}

// message is the content of a message of the log.
type message struct {
	Process string `json:"process"` // that published it, by a random name
	Edge    string `json:"edge"`
	Entry
}

// Subjects of the log. The last token of a purge's subject is its target, so that the log has
// the newest purge of each alone; a soft one never replaces a hard one.
const (
	subjects    = "purge.>"
	hardFilter  = "purge.*.hard.*"
	softFilter  = "purge.*.soft.*"
	tickSubject = "purge.tick."
	feedSubject = "purge.feed."
	wholeEdge   = "_" // stands for the site of a purge of everything
)

// subject is where an entry is published.
func (e Entry) subject() string {
	sort := "hard"
	if e.Soft {
		sort = "soft"
	}
	site := wholeEdge
	if e.Site != "" {
		site = token(e.Site)
	}
	return "purge." + site + "." + sort + "." + e.target()
}

// target names the responses that an entry is about, in the site.
func (e Entry) target() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %t %s", e.Scope, e.Change, e.Name))
	return hex.EncodeToString(sum[:])[:24]
}

// maxEntry bounds an entry in the log, in bytes. It has room for a URL as long as an operator may
// purge, and is below the largest message of the stream.
const maxEntry = 60 << 10

// bounded is the entry as the log can have it. One whose name is too long, or would be another
// one behind JSON, is about its whole site.
func (e Entry) bounded() Entry {
	raw, err := json.Marshal(e)
	if err == nil && len(raw) <= maxEntry && utf8.ValidString(e.Name) {
		return e
	}
	return Entry{Purge: purge.Purge{Scope: purge.Site, Site: e.Site, Soft: e.Soft}, Change: e.Change}
}

// token is a name as one token of a subject: names of sites and of edges may have dots.
func token(name string) string { return strings.ReplaceAll(name, ".", "/") }

// decode reads a message. One of a newer edge that this one cannot read, or of a scope that
// it does not know, puts everything in doubt: it may be about anything.
func decode(data []byte) (m message, whole bool) {
	if err := json.Unmarshal(data, &m); err != nil || m.Process == "" || m.Scope > purge.SiteMetadata {
		return message{Process: m.Process, Entry: Entry{Purge: purge.Purge{Scope: purge.All, Soft: true}}}, false
	}
	return m, true
}
