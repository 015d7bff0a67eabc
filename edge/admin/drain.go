package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
)

// A Drainer takes masters out of rotation and puts them back. Drain returns once
// no new request goes to a drained master. Requests under way finish. A master is
// named by its number in the status, by its URL, or by the host of its URL. The
// error wraps [ErrUnknownSite], [ErrUnknownMaster] or [ErrAmbiguousMaster] for a
// name that does not fit.
type Drainer interface {
	Drain(ctx context.Context, site, master string, drained bool) (Rotation, error)
}

// Errors of a [Drainer].
var (
	ErrUnknownMaster   = errors.New("unknown master")      // answered 404
	ErrAmbiguousMaster = errors.New("names more than one") // answered 400
)

// Rotation describes a drain, or its opposite.
type Rotation struct {
	Site    string `json:"site"`
	Drained bool   `json:"drained"`
	// Masters are the masters that were named: one, or all entries of a host among
	// the masters of the site, of its files and of its scopes.
	Masters []Master `json:"masters"`
	// Left are the masters of the same pools that get requests now.
	Left []Master `json:"left"`
	// Warnings say which requests fail from now on, a line each.
	Warnings []string `json:"warnings,omitempty"`
}

// Master is a master of a [Rotation].
type Master struct {
	N        int    `json:"n"`
	URL      string `json:"url"`
	Role     string `json:"role"`
	Pool     string `json:"pool"`
	InFlight int    `json:"in_flight"` // requests under way there
	// Changed is false for a master that was drained, or not, already.
	Changed bool `json:"changed"`
}

// drains answers POST /masters/{site}/{master}/drain, or …/undrain.
type drains struct {
	drainer Drainer
	logger  *slog.Logger
	drained bool
}

func (h *drains) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site, master := r.PathValue("site"), r.PathValue("master")
	done, err := h.drainer.Drain(r.Context(), site, master, h.drained)
	switch {
	case err == nil:
		attrs := []slog.Attr{slog.String("site", site), slog.String("master", master), slog.Int("left", len(done.Left)), slog.String("peer", r.RemoteAddr)}
		if len(done.Warnings) > 0 {
			attrs = append(attrs, slog.String("warning", strings.Join(done.Warnings, "; ")))
		}
		h.logger.LogAttrs(r.Context(), slog.LevelInfo, h.word()+" by an operator", attrs...)
		answer(w, http.StatusOK, done)
	case errors.Is(err, ErrUnknownSite), errors.Is(err, ErrUnknownMaster):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.Is(err, ErrAmbiguousMaster):
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		refuse(w, http.StatusInternalServerError, "cannot "+h.word()+": "+err.Error())
	}
}

// word names the change, for the log.
func (h *drains) word() string {
	if h.drained {
		return "drain"
	}
	return "undrain"
}
