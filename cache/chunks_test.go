package cache

import (
	"encoding/hex"
	"errors"
	"path/filepath"
	"testing"

	"pkgedge/cache/record"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// From a client's side: rot in a large body breaks it off, and the next request
// fetches it again.
func TestRotInALargeBodyIsFetchedAgain(t *testing.T) {
	dir := t.TempDir()
	text := string(storetest.Payload(1, 3*record.MaxUnsummed))
	origin := always(200, text, "Cache-Control: max-age=3600")
	restart := func() *Cache {
		c, err := Open(Config{Disk: 64 << 20, Dir: dir, MaxObject: 32 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := restart()
	expect(t, c, query("a", origin), Missed, text)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c = restart()
	defer c.Close()
	storetest.Flip(t, pathOf(dir, query("a", nil).Key), -100_000)
	a, err := c.Get(t.Context(), query("a", origin))
	if err != nil {
		t.Fatal(err)
	}
	got, err := body(a)
	a.Close()
	if !errors.Is(err, record.ErrDamaged) || len(got) == 0 || got != text[:len(got)] {
		t.Errorf("%d bytes and %v", len(got), err)
	}
	expect(t, c, query("a", origin), Missed, text)
	settle(c)
	expect(t, c, query("a", origin), Hit, text)
	origin.want(t, 2)
}

// pathOf is the file of a stored response.
func pathOf(dir string, k store.Key) string {
	sum := k.Sum()
	name := hex.EncodeToString(sum[:])
	return filepath.Join(dir, "objects", name[:2], name[2:])
}
