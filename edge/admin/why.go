package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// An Explainer says how a request would be answered now. Explain changes nothing, and asks no
// master. The error wraps [ErrUnknownSite] or [ErrUnknownName] for a name that does not fit.
type Explainer interface {
	Explain(ctx context.Context, q Question) ([]Why, error)
}

// Question names a package, in each site that has packages, or a URL. Site narrows it.
type Question struct {
	Site, Package, URL string
}

// Why says how a request for one URL would be answered. Durations are whole seconds.
type Why struct {
	Site     string  `json:"site"`
	Path     string  `json:"path"` // below the site
	What     string  `json:"what"` // the kind of endpoint, as in the access log
	Stored   *Stored `json:"stored,omitempty"`
	Fetching bool    `json:"fetching"`           // a fetch is under way
	Digest   string  `json:"digest,omitempty"`   // that its bytes must have, as a stored document says
	Withheld string  `json:"withheld,omitempty"` // why it is not served, although there is such a file
	Now      string  `json:"now"`                // how a request would be answered, in words
	Outage   string  `json:"outage"`             // the same, if no master answered
}

// Stored is a stored response.
type Stored struct {
	Status       int       `json:"status"`
	Tiers        []string  `json:"tiers"` // "memory", "disk"
	Master       string    `json:"master,omitempty"`
	Fetched      time.Time `json:"received"` // or validated last
	Age          int64     `json:"age"`
	TTL          int64     `json:"ttl"` // below zero for a stale one
	Purged       bool      `json:"purged"`
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	Variants     []Variant `json:"variants"`
}

// Variant is one representation of a stored response.
type Variant struct {
	Name     string `json:"name,omitempty"`   // "full", "abbreviated"
	Encoding string `json:"coding,omitempty"` // "" is identity
	Bytes    int64  `json:"bytes"`
	ETag     string `json:"etag,omitempty"`
}

// whys answers GET /why.
type whys struct{ explainer Explainer }

func (h *whys) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q := Question{Site: v.Get("site"), Package: v.Get("package"), URL: v.Get("url")}
	if (q.Package == "") == (q.URL == "") {
		refuse(w, http.StatusBadRequest, `name a "package" or a "url" in the query, not both`)
		return
	}
	found, err := h.explainer.Explain(r.Context(), q)
	switch {
	case err == nil:
		answer(w, http.StatusOK, struct {
			Why []Why `json:"why"`
		}{found})
	case errors.Is(err, ErrUnknownSite):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrUnknownName):
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		refuse(w, http.StatusInternalServerError, "cannot explain it: "+err.Error())
	}
}

// Explain asks the edge how a request would be answered. It returns the answer, and the JSON
// in which it came.
func (c *Client) Explain(ctx context.Context, q Question) ([]Why, []byte, error) {
	v := make(url.Values)
	for name, value := range map[string]string{"site": q.Site, "package": q.Package, "url": q.URL} {
		if value != "" {
			v.Set(name, value)
		}
	}
	text, err := c.call(ctx, http.MethodGet, "/why?"+v.Encode(), nil)
	if err != nil {
		return nil, nil, err
	}
	var doc struct {
		Why []Why `json:"why"`
	}
	if err := c.unmarshal(text, &doc); err != nil {
		return nil, nil, err
	}
	return doc.Why, text, nil
}
