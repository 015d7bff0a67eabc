package cache

import (
	"errors"
	"os"
	"syscall"
)

// fileBody reads a body that begins at base.
type fileBody struct {
	read func(*os.File, []byte, int64) (int, error)
	file *os.File
	base int64
}

func (b *fileBody) ReadAt(p []byte, off int64) (int, error) { return b.read(b.file, p, b.base+off) }

// isFull says that a file system, or a quota of it, is full.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
