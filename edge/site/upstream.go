package site

import (
	"context"
	"fmt"
	"net/http"

	"pkgedge/edge/config"
	"pkgedge/origin"
	"pkgedge/origin/kind"
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

// digests returns the stored document that lists a file's digest. It is fetched
// if need be, as the client that asked for the file may have it, whose fields are
// h. With renew it is validated: its lifetime is not for the file's sake.
func (s *Site) digests(ctx context.Context, u *Upstream, list kind.Route, h http.Header, renew bool) ([]byte, error) {
	q := s.Query(u, list, h)
	q.Variant = kind.Summary
	if q.Request.Validate = renew; renew {
		q.SoftTimeout = 0 // the older list may be wrong
	}
	for retried := false; ; retried = true {
		a, err := s.cache.Get(ctx, q)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK || a.Part.Variant != kind.Summary {
			a.Close()
			return nil, fmt.Errorf("cannot list digests: the master answers %d", a.Status)
		}
		live := a.Live()
		doc, err := a.Other(ctx, kind.Summary)
		a.Close()
		if err == nil || retried || live {
			return doc, err
		}
		// The stored document is damaged, and out of the way by now.
	}
}
