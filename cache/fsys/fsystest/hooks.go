package fsystest

import (
	"io/fs"
	"os"

	"pkgedge/cache/fsys"
)

// Hooks are system calls that a test replaces while they are in use. At first its fields
// are the real calls.
type Hooks struct{ fsys.Calls }

// NewHooks returns the real system calls, to be replaced.
func NewHooks() *Hooks { return &Hooks{fsys.System()} }

// System returns calls that read the fields of h at the moment of each call.
func (h *Hooks) System() *fsys.Calls {
	return &fsys.Calls{
		Open:   func(path string, flag int) (*os.File, error) { return h.Open(path, flag) },
		Mkdir:  func(path string) error { return h.Mkdir(path) },
		Rename: func(from, to string) error { return h.Rename(from, to) },
		Remove: func(path string) error { return h.Remove(path) },
		List:   func(dir string) ([]fs.DirEntry, error) { return h.List(dir) },
		Stat:   func(f *os.File) (fs.FileInfo, error) { return h.Stat(f) },
		Chmod:  func(f *os.File, mode fs.FileMode) error { return h.Chmod(f, mode) },
		Read:   func(f *os.File, p []byte, off int64) (int, error) { return h.Read(f, p, off) },
		Write:  func(f *os.File, p []byte, off int64) (int, error) { return h.Write(f, p, off) },
		Cut:    func(f *os.File, size int64) error { return h.Cut(f, size) },
		Sync:   func(f *os.File) error { return h.Sync(f) },
		Space:  func(dir string) (fsys.Space, error) { return h.Space(dir) },
	}
}
