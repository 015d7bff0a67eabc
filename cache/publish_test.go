package cache

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/purge"
)

// published are the purges of a publish.
var published = purge.Purge{Scope: purge.GroupMetadata, Site: "s", Name: "g", Soft: true}

// A request after a publish is not answered with the 404 of a fetch that began before,
// whether or not that 404 is known yet.
func TestPublishIsNotAnsweredByAnOlder404(t *testing.T) {
	for name, headers := range map[string]bool{"on its way": false, "being read": true} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, c *Cache) {
				gate, rest := make(chan struct{}), make(chan struct{})
				ask := func(from Fetcher) *Query {
					q := query("file", from)
					q.Rule.Missing = policy.AtMost(time.Minute)
					return q
				}
				wait := clients(c, 1, func(int) *Query {
					return ask(fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
						<-gate
						if err := fill.Respond(404, policytest.Fields(), -1); err != nil {
							return err
						}
						<-rest
						_, err := io.WriteString(fill, "none")
						return err
					}))
				})
				synctest.Wait()
				if headers {
					close(gate)
					synctest.Wait()
				}
				if err := c.Purge(published); err != nil {
					t.Fatal(err)
				}
				after := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
					pass(time.Second)
					return respond(fill, 200, "there", "Cache-Control: max-age=60")
				}}
				later := clients(c, 3, func(int) *Query { return ask(after) })
				synctest.Wait()
				if !headers {
					close(gate)
				}
				close(rest)
				for _, g := range later() {
					if g.status != 200 || g.body != "there" {
						t.Errorf("got %v", g)
					}
				}
				after.want(t, 1)
				if g := wait()[0]; g.status != 404 {
					t.Errorf("who asked before got %v", g)
				}
				settle(c)
				expect(t, c, ask(after), Hit, "there")
			})
		})
	}
}

// A publish concerns no file that is there: a large one is not fetched once more.
func TestPublishLeavesAFileThatIsBeingRead(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			if err := fill.Respond(200, policytest.Fields("Cache-Control: max-age=60"), 4); err != nil {
				return err
			}
			<-gate
			_, err := io.WriteString(fill, "file")
			return err
		}}
		wait := clients(c, 1, func(int) *Query { return query("file", origin) })
		synctest.Wait()
		if err := c.Purge(published); err != nil {
			t.Fatal(err)
		}
		later := clients(c, 1, func(int) *Query { return query("file", origin) })
		synctest.Wait()
		close(gate)
		for _, g := range append(wait(), later()...) {
			if g.body != "file" {
				t.Errorf("got %v", g)
			}
		}
		origin.want(t, 1)
	})
}
