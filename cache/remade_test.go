package cache

import (
	"os"
	"testing"
	"time"

	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
)

// Purges hold across a restart, also those from before the directory was removed.
func TestPurgesOutliveTheirDirectory(t *testing.T) {
	cfg := Config{Memory: 4 << 20, Disk: 64 << 20, MaxObject: 32 << 20, Dir: t.TempDir() + "/cache"}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	k := store.Key{Site: "s", ID: "a", Group: "g"}
	epoch := c.purges.Now.Load()
	all := purge.Purge{Scope: purge.Group, Site: "s", Name: "g"}
	if err := c.Purge(all); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	if w, err := c.disk.Create(k, &store.Meta{}, 1); err == nil {
		w.Abort()
		t.Fatal("the directory is there")
	}
	all.Name = "h"
	if err := c.Purge(all); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, group := range []string{"g", "h"} {
		k.Group = group
		if c.purges.Mark(k, epoch) == policy.NotMarked {
			t.Errorf("the purge of %s is forgotten at %v", group, time.Now())
		}
	}
}
