//go:build !linux

package fsys

import (
	"errors"
	"io/fs"
	"os"
)

func open(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, FileMode) }

func rename(from, to string) error { return os.Rename(from, to) }

func mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// statSpace is unsupported, so that the configured size is the only bound.
func statSpace(string) (Space, error) { return Space{}, errors.ErrUnsupported }

// ChangeTime is a file's modification time, the nearest thing every system has.
func ChangeTime(info fs.FileInfo) int64 { return info.ModTime().UnixNano() }

// Linked is true: whether a file has a name is not known.
func Linked(fs.FileInfo) bool { return true }

// MaxOpen is a number that every system allows.
func MaxOpen() int64 { return 256 }
