package admin

import (
	"context"
	"errors"
	"net/http"
)

// A Reloader has the edge read its configuration again. Reload returns once the new
// configuration serves. With an error the old one stays: a [*Refused] for a
// configuration with mistakes, and an [ErrNotNow] for an edge that cannot reload now.
type Reloader interface {
	Reload(ctx context.Context) (Reloaded, error)
}

// Reloaded describes a reload.
type Reloaded struct {
	Config   string   `json:"config"`  // the file, or "built in"
	Changed  []string `json:"changed"` // keys, such as "limits.rate" or "site npm: masters"
	Warnings []string `json:"warnings,omitempty"`
}

// Refused is the error of a configuration with mistakes. The edge has logged them.
type Refused struct {
	Mistakes []string // a line each, with file, line and key
}

func (r *Refused) Error() string {
	return "the new configuration is refused, and the one in use stays"
}

// ErrNotNow is the error of an edge that cannot reload now. It is answered 503.
var ErrNotNow = errors.New("not now")

// reloads answers POST /reload.
type reloads struct{ reloader Reloader }

func (h *reloads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	done, err := h.reloader.Reload(r.Context())
	refused := (*Refused)(nil)
	switch {
	case err == nil:
		answer(w, http.StatusOK, done)
	case errors.As(err, &refused):
		answer(w, http.StatusUnprocessableEntity, struct {
			Error    string   `json:"error"`
			Mistakes []string `json:"mistakes"`
		}{err.Error(), refused.Mistakes})
	case errors.Is(err, ErrNotNow):
		refuse(w, http.StatusServiceUnavailable, err.Error())
	default:
		refuse(w, http.StatusInternalServerError, "cannot reload: "+err.Error())
	}
}
