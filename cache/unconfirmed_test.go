package cache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pkgedge/cache/policy"
)

// A response that is missing for strangers may exist for an owner.
func TestOwnerIsNotToldInAnOutageWhatStrangersMayNotFind(t *testing.T) {
	for _, status := range []int{301, 404, 410} {
		both(t, func(t *testing.T, c *Cache) {
			rule := policy.Rule{Missing: policy.AtMost(time.Second), Keep: policy.Window{Default: policy.Forever}}
			q := owned("", always(status, "none", "Cache-Control: max-age=1"))
			q.Rule = rule
			expect(t, c, q, Missed, "none")
			settle(c)
			pass(time.Minute)
			q = owned("alice", failing())
			q.Rule = rule
			if g := get(c, q); !errors.Is(g.err, errOrigin) {
				t.Errorf("a stranger's %d: got %v", status, g)
			}
			q = owned("", failing())
			q.Rule = rule
			expect(t, c, q, HitError, "none") // strangers may
		})
	}
}

// A credential's response is confirmed before each use. When nobody was asked it
// is not confirmed, and it is not used; when the origin was asked and failed, it is.
func TestWhatIsNotConfirmedIsNotUsed(t *testing.T) {
	crowd := fmt.Errorf("too many requests: %w", ErrNotAsked)
	for _, tt := range []struct {
		rule     string
		validate bool
		err      error
		stored   string // the owner of the stored response
		answered bool
	}{
		{"its own, not asked", true, crowd, "alice", false},
		{"anybody's, not asked", true, crowd, "", false},
		{"its own, asked", true, errOrigin, "alice", true},
		{"anybody's, asked", true, errOrigin, "", true},
		{"its own, not asked, and needs no confirmation", false, crowd, "alice", true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			both(t, func(t *testing.T, c *Cache) {
				expect(t, c, owned(tt.stored, always(200, "stored", "Cache-Control: max-age=60")), Missed, "stored")
				settle(c)
				pass(time.Hour)
				origin := &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, _ *Fill) error {
					if ask.Stale != (!tt.validate && tt.stored == "alice") {
						t.Errorf("Stale is %v", ask.Stale)
					}
					return tt.err
				}}
				q := owned("alice", origin)
				q.Rule.Keep.Default, q.Request.Validate = policy.Forever, tt.validate
				for range 2 { // the second time it is not tried again yet, where there is something to validate
					g := get(c, q)
					switch {
					case tt.answered && (g.outcome != HitError || g.body != "stored"):
						t.Errorf("got %v", g)
					case !tt.answered && !errors.Is(g.err, tt.err):
						t.Errorf("got %v; want %v", g, tt.err)
					}
					if n := origin.calls.Load(); n == 0 || n > 2 {
						t.Errorf("%d fetches", n)
					}
				}
			})
		})
	}
}
