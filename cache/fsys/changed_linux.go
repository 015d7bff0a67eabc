package fsys

import (
	"io/fs"
	"syscall"
)

// ChangeTime is a file's ctime, which no program can set.
func ChangeTime(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return info.ModTime().UnixNano()
}
