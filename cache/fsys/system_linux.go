package fsys

import (
	"io/fs"
	"syscall"
)

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
