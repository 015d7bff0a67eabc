package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

// maxPurgeBody is the size a purge's body may have, in bytes. The longest thing
// it can name is a URL.
const maxPurgeBody = 16 << 10

// A Purger makes the edge forget. Purge returns once what it names is not served
// any more, not even by a fill that began before; or, when soft, once it counts
// as stale. Its error wraps [ErrUnknownSite] or [ErrUnknownName] when the
// request is to blame.
type Purger interface {
	Purge(ctx context.Context, what Purge) error
}

// What a [Purger] cannot find.
var (
	ErrUnknownSite = errors.New("unknown site")                   // answered 404
	ErrUnknownName = errors.New("not a name this edge can store") // answered 400
)

// Purge names what to forget: one of Package, URL and All, or a Site alone,
// which means all of it. Site beside Package or URL narrows them to that site.
type Purge struct {
	Site    string `json:"site,omitzero"`
	Package string `json:"package,omitzero"`
	// URL is an absolute http or https URL, or a path.
	URL string `json:"url,omitzero"`
	All bool   `json:"all,omitzero"`
	// Soft keeps the bytes, as stale: they are asked for again before use, and
	// still serve when no master answers.
	Soft bool `json:"soft,omitzero"`
}

// check says what is wrong with p.
func (p Purge) check() error {
	switch {
	case p.Package != "" && p.URL != "":
		return errors.New(`name either a "package" or a "url", not both`)
	case p.All && (p.Package != "" || p.URL != "" || p.Site != ""):
		return errors.New(`"all" means every site: name nothing beside it`)
	case p == Purge{Soft: p.Soft}:
		return errors.New(`name a "package", a "url", a "site", or "all": true`)
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
	var what Purge
	body := http.MaxBytesReader(w, r.Body, maxPurgeBody)
	if err := json.UnmarshalRead(body, &what, json.RejectUnknownMembers(true)); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit))
			return
		}
		refuse(w, http.StatusBadRequest, "cannot read the purge: "+err.Error())
		return
	}
	if err := what.check(); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}

	err := h.purger.Purge(r.Context(), what)
	switch {
	case err == nil:
		h.logger.LogAttrs(r.Context(), slog.LevelInfo, "purged", what.attrs(r)...)
		answer(w, http.StatusOK, struct {
			Purged Purge `json:"purged"`
		}{what})
	case errors.Is(err, ErrUnknownSite):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrUnknownName):
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		h.logger.LogAttrs(r.Context(), slog.LevelError, "purge failed", append(what.attrs(r), slog.Any("error", err))...)
		refuse(w, http.StatusInternalServerError, "cannot purge: "+err.Error())
	}
}

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
