package fsystest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"pkgedge/cache/fsys"
)

// Faults are system calls of which one fails, or, after a kill, every one from FailAt on. It
// counts the calls of a run without a failure.
type Faults struct {
	mu     sync.Mutex
	Count  int
	FailAt int // the call that fails, from 1; 0 for none
	Err    error
	Killed bool          // all later ones fail too, as if the process were gone
	Gone   chan struct{} // closed then
	Short  bool          // a write writes half
	Failed string
}

var errKilled = errors.New("killed")

// fails counts a call, and returns an error when it is to fail.
func (f *Faults) fails(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Count++
	if f.FailAt == 0 || f.Count != f.FailAt && (!f.Killed || f.Count < f.FailAt) {
		return nil
	}
	if f.Count == f.FailAt {
		f.Failed = op
		if f.Killed && f.Gone != nil {
			close(f.Gone)
		}
	}
	if f.Killed {
		return errKilled
	}
	return &fs.PathError{Op: op, Path: "somewhere", Err: f.Err}
}

// Calls returns calls that f counts and makes fail.
func (f *Faults) Calls() fsys.Calls {
	real := fsys.System()
	return fsys.Calls{
		Open: func(path string, flag int) (*os.File, error) {
			op := "open"
			if flag&os.O_CREATE != 0 {
				op = "create"
			}
			if err := f.fails(op); err != nil {
				return nil, err
			}
			return real.Open(path, flag)
		},
		Mkdir: func(path string) error {
			if err := f.fails("mkdir"); err != nil {
				return err
			}
			return real.Mkdir(path)
		},
		Rename: func(from, to string) error {
			if err := f.fails("rename"); err != nil {
				return err
			}
			return real.Rename(from, to)
		},
		Remove: func(path string) error {
			if err := f.fails("remove"); err != nil {
				return err
			}
			return real.Remove(path)
		},
		List: func(dir string) ([]fs.DirEntry, error) {
			if filepath.Base(dir) == "40" { // one of 256 that are all alike
				if err := f.fails("list"); err != nil {
					return nil, err
				}
			}
			return real.List(dir)
		},
		Stat: func(file *os.File) (fs.FileInfo, error) {
			if err := f.fails("stat"); err != nil {
				return nil, err
			}
			return real.Stat(file)
		},
		Chmod: func(file *os.File, mode fs.FileMode) error {
			if err := f.fails("chmod"); err != nil {
				return err
			}
			return real.Chmod(file, mode)
		},
		Read: func(file *os.File, p []byte, off int64) (int, error) {
			if off < 128<<10 || off > 960<<10 { // the chunks between are all alike
				if err := f.fails("read"); err != nil {
					return 0, err
				}
			}
			return real.Read(file, p, off)
		},
		Write: func(file *os.File, p []byte, off int64) (int, error) {
			if err := f.fails("write"); err != nil {
				if !f.Short {
					return 0, err
				}
				n, _ := real.Write(file, p[:len(p)/2], off)
				return n, err
			}
			return real.Write(file, p, off)
		},
		Cut: func(file *os.File, size int64) error {
			if err := f.fails("cut"); err != nil {
				return err
			}
			return real.Cut(file, size)
		},
		Sync: func(file *os.File) error {
			return f.fails("sync") // and takes no time
		},
		Space: func(string) (fsys.Space, error) {
			if err := f.fails("space"); err != nil {
				return fsys.Space{}, err
			}
			return fsys.Space{Free: 1 << 40, Total: 1 << 41, FreeFiles: 1 << 30, Files: 1 << 31}, nil
		},
	}
}

// Quick is a system that syncs nothing.
func Quick() fsys.Calls {
	sys := fsys.System()
	sys.Sync = func(*os.File) error { return nil }
	return sys
}
