package cache

import (
	"io/fs"
	"testing"

	"pkgedge/cache/budget"
)

// The index has its part of the memory tier's share and no more, whatever is
// written, and whatever is found.
func TestIndexIsBounded(t *testing.T) {
	c := opened(t, func(cfg *Config) { cfg.Memory = budget.LeastMemory })
	if n := c.disk.indexable; n < 50_000 || n*budget.IndexEntry > budget.Split(budget.LeastMemory).Tier/16*15 {
		t.Errorf("%d files, of a share of %d", n, budget.Split(budget.LeastMemory).Tier)
	}
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	d.indexable = 50
	fillUp(t, d, "", 100, 100)
	if have := d.index.Count.Load(); have != 50 {
		t.Errorf("%d files are written, want 50", have)
	}
	d.close()
	d = openedDisk(t, dir, 64<<20)
	d.indexable = 30
	most, real := int64(0), d.sys.List
	d.sys.List = func(dir string) ([]fs.DirEntry, error) {
		most = max(most, d.index.Count.Load())
		return real(dir)
	}
	d.scan(nil)
	if _, there := files(t, dir); most > 30 || there != 30 {
		t.Errorf("%d files while they are found, and %d at last, want 30", most, there)
	}
}
