//go:build !linux

package cache

import "io/fs"

// changed is a file's modification time, the nearest thing every system has.
func changed(info fs.FileInfo) int64 { return info.ModTime().UnixNano() }
