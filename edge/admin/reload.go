package admin

import (
	"context"
	"errors"
	"net/http"
)

// A Reloader has the edge read its configuration again. Reload returns once the
// new one serves. Its error is a [*Refused] when the configuration is to blame,
// and wraps [ErrNotNow] when the edge is; the one in use stays then.
type Reloader interface {
	Reload(ctx context.Context) (Reloaded, error)
}

// Reloaded is what a reload changed.
type Reloaded struct {
	Config   string   `json:"config"`  // the file, or "built in"
	Changed  []string `json:"changed"` // keys, such as "limits.rate" or "site npm: masters"
	Warnings []string `json:"warnings,omitempty"`
}

// Refused is a configuration that cannot be used. The edge has logged it.
type Refused struct {
	Mistakes []string // a line each, with file, line and key
}

func (r *Refused) Error() string {
	return "the new configuration is refused, and the one in use stays"
}

// ErrNotNow is answered 503.
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
