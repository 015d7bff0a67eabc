package cache

import (
	"errors"
	"io/fs"
	"os"
)

// system is what the disk tier asks of the operating system once its directories
// are made. It
// is functions and no interface, so that a test can make any one call fail, and
// what they give out is the *os.File that sendfile needs.
type system struct {
	open   func(path string, flag int) (*os.File, error)
	mkdir  func(path string) error // which may be there
	rename func(from, to string) error
	remove func(path string) error
	list   func(dir string) ([]fs.DirEntry, error)
	stat   func(*os.File) (fs.FileInfo, error)
	chmod  func(*os.File, fs.FileMode) error
	read   func(f *os.File, p []byte, off int64) (int, error)
	write  func(f *os.File, p []byte, off int64) (int, error)
	cut    func(f *os.File, size int64) error
	sync   func(*os.File) error
	space  func(dir string) (space, error)
}

// fileMode is the mode of every file that open makes.
const fileMode fs.FileMode = 0o600

// space is what is left of a file system, and how large it is. A file system
// that does not count files has no figures for them.
type space struct{ free, total, freeFiles, files int64 }

// realSystem is the operating system.
func realSystem() system {
	return system{
		open:   func(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, fileMode) },
		mkdir:  mkdir,
		rename: os.Rename,
		remove: os.Remove,
		list:   os.ReadDir,
		stat:   (*os.File).Stat,
		chmod:  (*os.File).Chmod,
		read:   (*os.File).ReadAt,
		write:  (*os.File).WriteAt,
		cut:    (*os.File).Truncate,
		sync:   (*os.File).Sync,
		space:  statSpace,
	}
}

func mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
