package pool

import (
	"log/slog"
	"strings"
	"time"

	"pkgedge/origin/complaints"
	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// worthALine says whether a failure that is held against no master is told all the same, as
// a 429 is: not where the master lags, which it may, nor where nobody waits any more.
func worthALine(b *health.Blame) bool {
	return b.Word != "older" && b.Word != "lost" && b.Word != "abandoned"
}

// complain has the log tell of a request that a master failed, whether or not another
// master answered it.
func (p *Pool) complain(r kind.Route, t *Trial) {
	more, ok := p.complaints.Admit(complaints.About{Master: t.Name, Endpoint: r.Endpoint, Word: health.Word(t.Err)}, time.Now())
	if !ok {
		return
	}
	path, _, _ := strings.Cut(r.Path, "?") // a query may be a secret
	if r.Log != "" {
		path = r.Log
	}
	attrs := []any{"site", p.cfg.Site, "master", t.Name, "role", t.Role, "did", t.Deed(), "request", r.Endpoint, "path", path, "cause", t.Err}
	if more > 0 {
		attrs = append(attrs, slog.Int("more", more))
	}
	p.cfg.Log.Warn("a master failed a request", attrs...)
}
