package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
	"pkgedge/cache/store/storetest"
)

// Purge, seen from a client.
func TestPurged(t *testing.T) {
	for name, config := range map[string]func(*Config){"memory": memoryOnly, "tiers": nil} {
		t.Run(name+" hard", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				rule := policy.Rule{Grace: policy.Window{Default: policy.Forever, Min: policy.Forever}, Keep: policy.Window{Default: policy.Forever, Min: policy.Forever}}
				one := query("a", always(200, "one", "Cache-Control: max-age=60", `Etag: "1"`))
				one.Rule = rule
				expect(t, c, one, Missed, "one")
				settle(c)
				expect(t, c, one, Hit, "one")
				if err := c.Purge(purge.Purge{Scope: purge.Group, Site: "s", Name: "g"}); err != nil {
					t.Fatal(err)
				}
				down := query("a", failing())
				down.Rule = rule
				if g := get(c, down); g.err == nil {
					t.Errorf("purged, and yet %v", g)
				}
				storetest.Expect(t, c.store, one.Key, 0, nil) // its room is given back
				two := query("a", &counting{fetch: func(_ int, _ context.Context, ask FetchRequest, fill *Fill) error {
					if ask.ETag != "" {
						t.Errorf("validates what is gone: %q", ask.ETag)
					}
					return respond(fill, 200, "two", "Cache-Control: max-age=60")
				}})
				expect(t, c, two, Missed, "two")
				settle(c)
				expect(t, c, two, Hit, "two")
			})
		})
		t.Run(name+" soft", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				fetches := &counting{fetch: func(n int, _ context.Context, ask FetchRequest, fill *Fill) error {
					if n == 1 {
						return respond(fill, 200, "one", "Cache-Control: max-age=60", `Etag: "1"`)
					}
					if ask.ETag != `"1"` {
						t.Errorf("asked with ETag %q", ask.ETag)
					}
					return fill.Respond(304, policytest.Fields("Cache-Control: max-age=60"), 0)
				}}
				q := query("a", fetches)
				q.Rule.Keep.Default = time.Hour
				expect(t, c, q, Missed, "one")
				settle(c)
				if err := c.Purge(purge.Purge{Scope: purge.All, Soft: true}); err != nil {
					t.Fatal(err)
				}
				down := *q
				down.Fetcher = failing()
				expect(t, c, &down, HitError, "one")
				pass(2 * cooling)
				expect(t, c, q, Revalidated, "one")
				settle(c)
				expect(t, c, q, Hit, "one") // the renewed one is not covered any more
				fetches.want(t, 2)
			})
		})
	}
}

func TestPurgeBeatsAFillThatBeganBefore(t *testing.T) {
	for name, config := range map[string]func(*Config){"memory": memoryOnly, "tiers": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				gate := make(chan struct{})
				origin := &counting{fetch: func(n int, _ context.Context, _ FetchRequest, fill *Fill) error {
					text := "old"
					if n == 1 {
						<-gate // the old bytes were on their way when the purge came
					} else {
						text = "new"
					}
					return respond(fill, 200, text, "Cache-Control: max-age=60")
				}}
				early := make(chan got)
				go func() { early <- get(c, query("a", origin)) }()
				synctest.Wait()
				if err := c.Purge(purge.Purge{Scope: purge.Key, Site: "s", Name: "a"}); err != nil {
					t.Fatal(err)
				}
				// A request after the purge does not join the flight from before.
				late := make(chan got, 1)
				go func() { late <- get(c, query("a", origin)) }()
				synctest.Wait()
				select {
				case g := <-late:
					if g.outcome != Missed || g.body != "new" {
						t.Errorf("who came after the purge got %v", g)
					}
				default:
					t.Error("who came after the purge waits for the flight from before")
				}
				close(gate)
				if g := <-early; g.body != "old" {
					t.Errorf("who came before the purge got %v", g)
				}
				settle(c)
				if g := get(c, query("a", origin)); g.body != "new" {
					t.Errorf("after the old fill committed: %v", g)
				}
			})
		})
	}
}

func TestPurgeSurvivesARestartOfTheCache(t *testing.T) {
	dir := t.TempDir()
	origin := always(200, "x", "Cache-Control: max-age=60")
	for i, want := range []Outcome{Missed, Missed, Hit} {
		c, err := Open(Config{Disk: 1 << 20, Dir: dir, MaxObject: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, c, query("a", origin), want, "x")
		settle(c)
		if i == 0 {
			if err := c.Purge(purge.Purge{Scope: purge.Site, Site: "s"}); err != nil {
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
