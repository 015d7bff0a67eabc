package disk

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/policy/policytest"
)

func TestBreaker(t *testing.T) {
	var b breaker
	now := policytest.Epoch
	for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
		if b.Open(now) {
			t.Fatal("open before it tripped")
		}
		if have := b.trip(now); have != want {
			t.Errorf("pauses %v, want %v", have, want)
		}
		if b.trip(now) != 0 || !b.Open(now.Add(want-1)) {
			t.Error("not one pause")
		}
		b.heal(now) // a commit that began before
		now = now.Add(want)
	}
	b.heal(now)
	if have := b.trip(now); have != shortestPause {
		t.Errorf("healed, and pauses %v", have)
	}
}

func TestOpenOnADiskThatCannotBeWrittenTo(t *testing.T) {
	for _, tt := range []struct {
		errno syscall.Errno
		opens bool
	}{
		{syscall.EROFS, false},
		{syscall.EACCES, false},
		{syscall.EIO, false},
		{syscall.ENOSPC, true}, // that passes
		{syscall.EDQUOT, true},
	} {
		dir := t.TempDir()
		openedDisk(t, dir, 1<<20).Close()
		sys := fsys.System()
		sys.Open = func(path string, flag int) (*os.File, error) {
			if strings.HasSuffix(path, "/try") {
				return nil, &os.PathError{Op: "open", Path: path, Err: tt.errno}
			}
			return os.OpenFile(path, flag, 0o600)
		}
		d, err := Open(Config{Sys: sys, Dir: dir, Limit: 1 << 20, Notify: func(string, error) {}})
		if tt.opens != (err == nil) {
			t.Errorf("%v: %v", tt.errno, err)
		}
		if err == nil {
			if !d.breaker.Open(time.Now()) {
				t.Errorf("%v: written to all the same", tt.errno)
			}
			d.Close()
		} else if !errors.Is(err, tt.errno) || !strings.Contains(err.Error(), "cannot write to the cache directory") {
			t.Errorf("%v: unclear: %v", tt.errno, err)
		}
		openedDisk(t, dir, 1<<20) // the lock was given back
	}
}
