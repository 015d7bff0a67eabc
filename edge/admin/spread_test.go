package admin

import (
	"context"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/fleet/figures"
)

// spreader is a purger of a fleet, whose log does or does not acknowledge.
type spreader struct {
	durable bool
	wait    time.Duration
}

func (s *spreader) Purge(_ context.Context, p Purge) (Purged, error) {
	s.wait = p.Wait
	return Purged{Whole: true, Fleet: &figures.Spread{Durable: s.durable, Applied: 1, Members: 2, Missing: []string{"b"}}}, nil
}

func TestAPurgeInAFleet(t *testing.T) {
	for _, tt := range []struct {
		query   string
		durable bool
		status  int
		wait    time.Duration
	}{
		{"", true, 200, 0},
		{"?wait=5s", true, 200, 5 * time.Second},
		{"", false, 202, 0},
		{"?wait=soon", true, 400, 0},
		{"?wait=-1s", true, 400, 0},
		{"?wait=1h", true, 400, 0},
	} {
		s := &spreader{durable: tt.durable}
		cfg := config(&purger{})
		cfg.Purger = s
		w := serve(cfg, request("POST", "/purge"+tt.query, `{"package":"a"}`, "Content-Type: application/json"))
		if w.Code != tt.status || s.wait != tt.wait || tt.status < 300 && !strings.Contains(w.Body.String(), `"missing"`) {
			t.Errorf("%q: %d, wait %s: %s", tt.query, w.Code, s.wait, w.Body)
		}
	}
	if (Purged{Whole: true, Fleet: new(figures.Spread)}).None() {
		t.Error("other edges may have what this one has not")
	}
}
