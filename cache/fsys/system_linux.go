package fsys

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// open is os.OpenFile without its attempt to have the runtime's poller watch the file, which
// fails for a regular file and costs four system calls.
func open(path string, flag int) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, flag|syscall.O_CLOEXEC, uint32(FileMode))
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if err != syscall.EINTR {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// rename is os.Rename without its look at the new name, which makes nothing but another error.
func rename(from, to string) error {
	for {
		err := syscall.Rename(from, to)
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
	}
}

func mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// statSpace returns the space that is free for this user on dir's file system.
func statSpace(dir string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Space{}, err
	}
	block := int64(st.Bsize)
	return Space{
		Free: int64(st.Bavail) * block, Total: int64(st.Blocks) * block,
		FreeFiles: int64(st.Ffree), Files: int64(st.Files),
	}, nil
}

// ChangeTime is a file's ctime, which no program can set.
func ChangeTime(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return info.ModTime().UnixNano()
}

// Linked reports whether a file has a name.
func Linked(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || st.Nlink > 0
}

// MaxOpen is the number of files that the process may have open.
func MaxOpen() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 256
	}
	return int64(min(limit.Cur, 1<<30))
}
