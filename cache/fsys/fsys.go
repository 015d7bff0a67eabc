package fsys

import (
	"errors"
	"io/fs"
	"os"
)

// Calls are the system calls of the disk tier and of the journal of purges. A test makes
// any single one fail.
type Calls struct {
	Open   func(path string, flag int) (*os.File, error)
	Mkdir  func(path string) error // which may be there
	Rename func(from, to string) error
	Remove func(path string) error
	List   func(dir string) ([]fs.DirEntry, error)
	Stat   func(*os.File) (fs.FileInfo, error)
	Chmod  func(*os.File, fs.FileMode) error
	Read   func(f *os.File, p []byte, off int64) (int, error)
	Write  func(f *os.File, p []byte, off int64) (int, error)
	Cut    func(f *os.File, size int64) error
	Sync   func(*os.File) error
	Space  func(dir string) (Space, error)
}

// FileMode is the mode of every file that open makes.
const FileMode fs.FileMode = 0o600

// Space is the free part of a file system, and how large it is. A file system
// that does not count files has no figures for them.
type Space struct{ Free, Total, FreeFiles, Files int64 }

// System is the operating system.
func System() Calls {
	return Calls{
		Open:   func(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, FileMode) },
		Mkdir:  mkdir,
		Rename: os.Rename,
		Remove: os.Remove,
		List:   os.ReadDir,
		Stat:   (*os.File).Stat,
		Chmod:  (*os.File).Chmod,
		Read:   (*os.File).ReadAt,
		Write:  (*os.File).WriteAt,
		Cut:    (*os.File).Truncate,
		Sync:   (*os.File).Sync,
		Space:  statSpace,
	}
}

func mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
