package tls

import (
	"context"
	"log/slog"
	"time"
)

const (
	lookEvery = 5 * time.Minute
	sayAgain  = day // while a certificate is at its end
)

// watch writes to the log when a certificate comes near its end: once at each step, and
// every day at the last.
func (m *Manager) watch(ctx context.Context) {
	said := make(map[string]saying)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		now := time.Now()
		for _, s := range m.Status() {
			before := said[s.Name]
			next := saying{s.NotAfter, s.Urgency(now), now}
			switch {
			case next.until != before.until || next.urgency > before.urgency:
			case next.urgency == Now && now.Sub(before.at) >= sayAgain:
			default:
				continue
			}
			said[s.Name] = next
			if next.urgency == Well && s.NotAfter.IsZero() {
				continue // it is on its way
			}
			m.log.Log(ctx, levelOf(next.urgency), "certificate", "name", s.Name, "names", s.Names, "expires", s.NotAfter.UTC(), "state", s.Text(now))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// saying is the last line that was written about a certificate.
type saying struct {
	until   time.Time // the end of the certificate that it was about
	urgency Urgency
	at      time.Time
}

func levelOf(u Urgency) slog.Level {
	switch u {
	case Well:
		return slog.LevelInfo
	case Now:
		return slog.LevelError
	default:
		return slog.LevelWarn
	}
}
