package site

import (
	"pkgedge/edge/config"
	"pkgedge/origin"
)

// Upstream is the masters of a site, or those of one of its private scopes.
type Upstream struct {
	*origin.Site
	Scope string // "@acme"; "" for the site's own masters

	authorized config.Authorized // how reads that carry a credential are treated
	keyPrefix  string            // of the responses stored from there; see Key
}

// DropsCredentials reports whether a client's credential is kept from the masters
// when they are read.
func (u *Upstream) DropsCredentials() bool { return u.authorized == config.AuthorizedIgnore }
