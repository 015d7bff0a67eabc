package fsys

import (
	"errors"
	"os"
	"syscall"
)

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

// IsFull says that a file system, or a quota of it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
