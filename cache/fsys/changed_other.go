//go:build !linux

package fsys

import "io/fs"

// ChangeTime is a file's modification time, the nearest thing every system has.
func ChangeTime(info fs.FileInfo) int64 { return info.ModTime().UnixNano() }
