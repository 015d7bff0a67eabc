package cache

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
)

// A slow removal of a file delays no other request, not even one of the same key.
func TestFlightHoldsNoLockWhileAFileIsRemoved(t *testing.T) {
	breaking := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
		fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), 10)
		fill.Write([]byte("12345"))
		return errOrigin
	})
	for _, tt := range []struct {
		rule  string
		begin func(c *Cache, h *fsystest.Hooks)
	}{
		{"at the end of a fill that failed", func(c *Cache, _ *fsystest.Hooks) { get(c, query("a", breaking)) }},
		{"when the last client leaves", func(c *Cache, _ *fsystest.Hooks) {
			a, err := c.Get(context.Background(), query("a", breaking))
			if err != nil {
				return // it came too late to read anything
			}
			c.wg.Wait()
			a.Close()
		}},
		{"when a held response moves into memory", func(c *Cache, h *fsystest.Hooks) {
			get(c, query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
				write := h.Write
				h.Write = func(f *os.File, p []byte, off int64) (int, error) {
					if filepath.Base(filepath.Dir(f.Name())) == "tmp" {
						return 0, syscall.EIO
					}
					return write(f, p, off)
				}
				return hold(fill, map[string]string{"": "held"})
			})))
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h := fsystest.NewHooks()
			c := opened(t, func(cfg *Config) { cfg.calls = h.System() })
			c.wg.Wait() // the scan has a look at the disk too
			removing, hang := make(chan struct{}, 1), make(chan struct{})
			remove := h.Remove
			h.Remove = func(path string) error {
				if strings.Contains(path, "tmp") {
					removing <- struct{}{}
					<-hang
				}
				return remove(path)
			}
			begun, joined := make(chan struct{}), make(chan struct{})
			go func() { defer close(begun); tt.begin(c, h) }()
			<-removing
			go func() {
				defer close(joined)
				q := query("a", always(200, "x"))
				if _, r, _, err := c.join(q, q.Key, false, policy.Validate); err == nil {
					r.Close()
				}
			}()
			select {
			case <-joined:
			case <-time.After(20 * time.Second): // only without the rule
				t.Error("another request waits for the removal")
			}
			close(hang)
			<-joined
			<-begun
			c.wg.Wait()
		})
	}
}
