package disk

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// A body on disk goes out by sendfile, which looks at no byte. So a file's bytes
// are checked when it is opened for the first time since the edge started, and
// again whenever its change time is another one than at the last check: whoever
// writes to it leaves that trace. What rots below the file system without one is
// for the scrubber to find.

// checks are the verifications under way. Whoever wants a body that is being
// verified waits for that: a thousand clients read a large file once. It does not
// wait for ever, for a large file of an old format takes long on a slow disk: to
// whoever gives up, it is a miss, and what is fetched instead replaces it.
type checks struct {
	mu      sync.Mutex
	running map[checked]*check
}

// checkTimeout is how long anybody waits for a check that somebody else makes.
const checkTimeout = 10 * time.Second

var errUnchecked = errors.New("its check takes too long")

// checked is a file as of a change time.
type checked struct {
	sum     store.Sum
	changed int64
}

type check struct {
	done chan struct{}
	err  error
}

// verify verifies a body, or waits for who does.
func (c *checks) verify(which checked, body io.ReaderAt, m *store.Meta) error {
	c.mu.Lock()
	if one, ok := c.running[which]; ok {
		c.mu.Unlock()
		t := time.NewTimer(checkTimeout)
		defer t.Stop()
		select {
		case <-one.done:
			return one.err
		case <-t.C:
			return errUnchecked
		}
	}
	one := &check{done: make(chan struct{})}
	c.running[which] = one
	c.mu.Unlock()
	one.err = record.Verify(body, m)
	c.mu.Lock()
	delete(c.running, which)
	c.mu.Unlock()
	close(one.done)
	return one.err
}

// changeTime is when f was last written or renamed, in nanoseconds; 0 when that
// cannot be told, which vouches for nothing.
func (d *Store) changeTime(f *os.File) int64 {
	info, err := d.Sys.Stat(f)
	if err != nil {
		return 0
	}
	return fsys.ChangeTime(info)
}
