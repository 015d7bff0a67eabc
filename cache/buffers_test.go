package cache

import (
	"context"
	"testing"

	"pkgedge/cache/store/storetest"
)

// With a broken disk and no buffer left, a large response that is held is
// still answered.
func TestHeldIsAnsweredWhenNothingIsLeft(t *testing.T) {
	c := opened(t, func(cfg *Config) { cfg.Memory = 64 << 20; cfg.Disk = 1 << 20 })
	text := string(storetest.Payload(1, 2<<20))
	left := c.memory.Buffers.Left.Load()
	c.memory.Buffers.Take(left)
	held := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
		return hold(fill, map[string]string{"": text})
	})
	expect(t, c, query("b", held), Missed, text)
	settle(c)
	c.memory.Buffers.Release(left)
	if now := c.memory.Buffers.Left.Load(); now != left {
		t.Errorf("%d bytes of %d are left", now, left)
	}
}
