package changes

import (
	"net/url"
	"testing"
	"testing/synctest"

	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/site"
	"pkgedge/origin/kinds"
)

// Two followers must not write one file.
func TestAFollowerWaitsForTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := config.NewSite(kinds.All())
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		old := &Subscription{done: make(chan struct{})}
		n := NewFeeds(t.TempDir(), edgetest.QuietLog()).Subscribe(&conf, "", false)
		n.start(old, func() {})
		synctest.Wait()
		if why := n.Status().Why; why != "not started" {
			t.Errorf("it has begun: %s", why)
		}
		close(old.done)
		synctest.Wait()
		if why := n.Status().Why; why == "not started" {
			t.Error("it does not begin")
		}
		n.stop()
		<-n.done
	})
}

// Also where the follower before was told to end by an earlier reload than the one
// that starts the next.
func TestAFollowerWaitsForTheOneBeforeARemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := config.NewSite(kinds.All())
		conf.Name, conf.Changes.URL = "npm", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		f := NewFeeds(t.TempDir(), edgetest.QuietLog())
		done := make(chan struct{})
		f.current = map[string]*Subscription{"npm": {done: done, stop: func() {}}}
		begin := func() *Subscription {
			f.Run(nil) // the site's feed is removed
			n := f.Subscribe(&conf, "", false)
			f.Run(map[*site.Site]*Subscription{{Name: "npm"}: n})
			synctest.Wait()
			return n
		}
		n := begin()
		last := begin() // once more
		for _, n := range []*Subscription{n, last} {
			if why := n.Status().Why; why != "not started" {
				t.Errorf("it has begun: %s", why)
			}
		}
		close(done)
		synctest.Wait()
		if why := last.Status().Why; why == "not started" {
			t.Error("it does not begin")
		}
		if !n.ended() || last.ended() {
			t.Error("the wrong one runs")
		}
		f.Run(nil)
		synctest.Wait()
		if f.Run(nil); len(f.ending) != 0 {
			t.Errorf("%d that have ended are remembered", len(f.ending))
		}
		f.Close()
	})
}
