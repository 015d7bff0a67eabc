package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// A Drainer takes masters out of rotation and puts them back. Drain returns once
// no new request goes to a drained master; those under way finish. Its error
// wraps [ErrUnknownSite] or [ErrUnknownMaster] when the request is to blame.
type Drainer interface {
	Drain(ctx context.Context, site, master string, drained bool) error
}

// ErrUnknownMaster is a master that a site does not have, answered 404.
var ErrUnknownMaster = errors.New("unknown master")

// drains answers POST /masters/{site}/{master}/drain, or …/undrain.
type drains struct {
	drainer Drainer
	logger  *slog.Logger
	drained bool
}

func (h *drains) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site, master := r.PathValue("site"), r.PathValue("master")
	err := h.drainer.Drain(r.Context(), site, master, h.drained)
	switch {
	case err == nil:
		h.logger.LogAttrs(r.Context(), slog.LevelInfo, "drain", slog.String("site", site), slog.String("master", master),
			slog.Bool("drained", h.drained), slog.String("peer", r.RemoteAddr))
		answer(w, http.StatusOK, struct {
			Site    string `json:"site"`
			Master  string `json:"master"`
			Drained bool   `json:"drained"`
		}{site, master, h.drained})
	case errors.Is(err, ErrUnknownSite), errors.Is(err, ErrUnknownMaster):
		refuse(w, http.StatusNotFound, err.Error())
	default:
		refuse(w, http.StatusInternalServerError, "cannot drain: "+err.Error())
	}
}
