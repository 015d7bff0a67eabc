package fsys

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Calls are the system calls of the disk tier and of the journal of purges. A test makes
// any single one fail.
type Calls struct {
	Open   func(path string, flag int) (*os.File, error)
	Mkdir  func(path string) error // no error when it exists
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

// Space is the free and the total space of a file system. Files is 0 for a file system that
// does not count files.
type Space struct{ Free, Total, FreeFiles, Files int64 }

// System is the operating system.
func System() Calls {
	return Calls{
		Open:   open,
		Mkdir:  mkdir,
		Rename: rename,
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

// At reads a file from an offset on, as an io.ReaderAt.
type At struct {
	read func(*os.File, []byte, int64) (int, error)
	File *os.File
	Base int64 // bytes
}

// At returns a reader of f from base on.
func (c Calls) At(f *os.File, base int64) At { return At{c.Read, f, base} }

// ReadAt reads from Base + off on.
func (a At) ReadAt(p []byte, off int64) (int, error) { return a.read(a.File, p, a.Base+off) }

// IsFull reports whether a file system, or a quota of it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
