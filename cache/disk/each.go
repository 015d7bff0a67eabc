package disk

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"pkgedge/cache/store"
)

// Each calls visit with the stored responses, one after the other, with the bytes of none
// read. It is false when ctx ended, or a directory could not be read, before all were
// visited. A response that comes or goes meanwhile may be left out.
func (d *Store) Each(ctx context.Context, visit func(store.Sum, *store.Meta)) (all bool) {
	return d.walk("read", func(sum store.Sum) bool {
		if ctx.Err() != nil {
			return false
		}
		f, h, _, err := d.openHeadOrSetAside(sum, readOnly)
		if err != nil {
			return true // gone, or it answers nobody
		}
		f.Close()
		visit(sum, h.Meta)
		return true
	})
}

// walk calls visit for each file of the tier, until visit is false. all is false then, and
// where a directory could not be read, which is notified as a failure of op.
func (d *Store) walk(op string, visit func(store.Sum) bool) (all bool) {
	all = true
	for i := range directories {
		entries, err := d.sys.List(filepath.Join(d.dir, "objects", directory(i)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.notify(op, err)
			all = false
		}
		for _, e := range entries {
			if sum, ok := sumOf(directory(i), e.Name()); ok && !visit(sum) {
				return false
			}
		}
	}
	return all
}
