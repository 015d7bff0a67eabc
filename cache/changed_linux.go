package cache

import (
	"io/fs"
	"syscall"
)

// changed is a file's ctime, which no program can set.
func changed(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return info.ModTime().UnixNano()
}
