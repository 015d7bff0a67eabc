package disk

import (
	"errors"
	"io"
	"sync"
	"time"

	"pkgedge/cache/record"
	"pkgedge/cache/store"
)

// A body on disk goes out by sendfile, which looks at no byte. So a file is verified when
// it is opened for the first time after a start, and again whenever its change time has
// moved: every write moves it. The scrubber finds bytes that rot below the file system.

// checks are the verifications under way. A look-up of a file that is being verified waits
// for that check, so that a thousand clients read a large file once. After checkTimeout the
// look-up is a miss, because a large file takes long on a slow disk.
type checks struct {
	mu      sync.Mutex
	running map[checked]*check
}

// checkTimeout bounds the wait for the check of another look-up.
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

// verify verifies a body, or waits for the check under way.
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
