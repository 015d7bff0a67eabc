package storetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/store"
)

// Flip changes one byte of a file, counted from its end when negative.
func Flip(t *testing.T, path string, at int) {
	t.Helper()
	f, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(f)
	}
	f[at] ^= 1
	if err := os.WriteFile(path, f, 0o600); err != nil {
		t.Fatal(err)
	}
}

// EvictAll has a tier evict everything that it can.
func EvictAll(t testing.TB, tier interface{ Evict() (int64, error) }) {
	t.Helper()
	for {
		if _, err := tier.Evict(); errors.Is(err, store.ErrNoSpace) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Pause makes a write fail, so that the disk tier with those calls pauses. The end of the
// pause is waited for by mend, in a bubble of synctest.
func Pause(t testing.TB, disk store.Store, calls *fsystest.Hooks) (mend func()) {
	t.Helper()
	real := calls.Open
	calls.Open = func(path string, flag int) (*os.File, error) {
		if flag&os.O_CREATE != 0 {
			return nil, syscall.ENOSPC
		}
		return real(path, flag)
	}
	k := store.Key{Site: "s", ID: "pause"}
	if w, err := disk.Create(k, Meta(k, 1, nil), 0); err == nil {
		w.Abort()
		t.Fatal("a file was created")
	}
	calls.Open = real
	return func() { time.Sleep(5 * time.Second) }
}

// Clean fails the test if a disk tier in dir has left temporary files, or open ones.
func Clean(t testing.TB, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v %v", left, err)
	}
	open, _ := os.ReadDir("/proc/self/fd") // where there is one
	for _, fd := range open {
		if name, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil && strings.HasPrefix(name, dir+"/") {
			t.Errorf("still open: %s", name)
		}
	}
}
