package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"pkgedge/edge/fleet/figures"
)

// maxPurgeBody is the largest body of a purge, in bytes. Its longest member is a URL.
const maxPurgeBody = 16 << 10

// A Purger makes the edge forget stored responses. Purge returns once none of the
// responses that p names is served any more, not even by a fill that began before.
// After a soft purge they count as stale. With DryRun they are only counted. The error
// wraps [ErrUnknownSite] or [ErrUnknownName] for a name that does not fit.
type Purger interface {
	Purge(ctx context.Context, p Purge) (Purged, error)
}

// Purged is the extent of a purge.
type Purged struct {
	Responses int  `json:"responses"` // stored ones that it covers
	Fetches   int  `json:"fetches"`   // under way, whose responses it covers
	Whole     bool `json:"whole"`     // everything stored was looked at; else there may be more

	Fleet *figures.Spread `json:"fleet,omitempty"` // how far it has come among the edges; nil for an edge alone
}

// None reports whether the purge is about nothing that is here. Other edges may have it.
func (p Purged) None() bool { return p.Fleet == nil && p.Whole && p.Responses == 0 && p.Fetches == 0 }

// Errors of a [Purger].
var (
	ErrUnknownSite = errors.New("unknown site")                   // answered 404
	ErrUnknownName = errors.New("not a name this edge can store") // answered 400
)

// Purge names the responses to forget: one of Package, URL and All, or a Site alone,
// which means all of that site. Site beside Package or URL narrows them to the site.
type Purge struct {
	Site string `json:"site,omitzero"`
	// Package is a package, or a pattern of packages such as "@types/*", in which "*" is
	// any text without a slash. A pattern is about the packages that are stored now.
	Package string `json:"package,omitzero"`
	// URL is an absolute http or https URL, or a path.
	URL string `json:"url,omitzero"`
	All bool   `json:"all,omitzero"`
	// Soft keeps the responses, as stale: they are validated before use, and still
	// serve when no master answers.
	Soft bool `json:"soft,omitzero"`
	// DryRun changes nothing.
	DryRun bool `json:"dry_run,omitzero"`

	Wait time.Duration `json:"-"` // for the other edges of a fleet; the query of the request has it
}

// Pattern reports whether Package is a pattern.
func (p Purge) Pattern() bool { return strings.Contains(p.Package, "*") }

// check finds mistakes in p.
func (p Purge) check() error {
	switch {
	case p.Package != "" && p.URL != "":
		return errors.New(`name either a "package" or a "url", not both`)
	case p.All && (p.Package != "" || p.URL != "" || p.Site != ""):
		return errors.New(`"all" means every site: name nothing beside it`)
	case p == Purge{Soft: p.Soft, DryRun: p.DryRun, Wait: p.Wait}:
		return errors.New(`name a "package", a "url", a "site", or "all": true`)
	case p.Pattern() && strings.ContainsAny(p.Package, `?[]\`):
		return fmt.Errorf(`package %q: "*" is the only sign that a pattern may have`, p.Package)
	case p.URL != "":
		u, err := url.Parse(p.URL)
		if err != nil {
			return fmt.Errorf("cannot read the url: %w", err)
		}
		web := (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
		if !web && !(u.Scheme == "" && strings.HasPrefix(p.URL, "/")) {
			return fmt.Errorf("url %q is neither absolute nor a path", p.URL)
		}
	}
	return nil
}

// purges answers POST /purge.
type purges struct {
	purger Purger
	logger *slog.Logger
}

func (h *purges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var p Purge
	body := http.MaxBytesReader(w, r.Body, maxPurgeBody)
	if err := json.UnmarshalRead(body, &p, json.RejectUnknownMembers(true)); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit))
			return
		}
		refuse(w, http.StatusBadRequest, "cannot read the purge: "+err.Error())
		return
	}
	var err error
	if p.Wait, err = waitOf(r.URL.Query()); err == nil {
		err = p.check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}

	done, err := h.purger.Purge(r.Context(), p)
	switch {
	case err == nil:
		if !p.DryRun {
			h.logger.LogAttrs(r.Context(), slog.LevelInfo, "purged", append(p.attrs(r), slog.Int("responses", done.Responses))...)
		}
		status := http.StatusOK
		if done.Fleet != nil && !done.Fleet.Durable {
			status = http.StatusAccepted // in force here, and told to the others later
		}
		answer(w, status, purgeAnswer{p, done})
	case errors.Is(err, ErrUnknownSite):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrUnknownName):
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		h.logger.LogAttrs(r.Context(), slog.LevelError, "purge failed", append(p.attrs(r), slog.Any("error", err))...)
		refuse(w, http.StatusInternalServerError, "cannot purge: "+err.Error())
	}
}

// MaxWait is how long a purge may wait for the other edges of a fleet.
const MaxWait = 20 * time.Second

// waitOf reads ?wait=5s.
func waitOf(query url.Values) (time.Duration, error) {
	text := query.Get("wait")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > MaxWait {
		return 0, fmt.Errorf("wait %q is not a duration from 0s to %s", text, MaxWait)
	}
	return d, nil
}

// purgeAnswer is the answer to a purge.
type purgeAnswer struct {
	Purge  Purge  `json:"purged"`
	Covers Purged `json:"covers"`
}

// attrs describes p for the log.
func (p Purge) attrs(r *http.Request) []slog.Attr {
	return []slog.Attr{
		slog.String("site", p.Site),
		slog.String("package", p.Package),
		slog.String("url", p.URL),
		slog.Bool("all", p.All),
		slog.Bool("soft", p.Soft),
		slog.String("peer", r.RemoteAddr),
	}
}
