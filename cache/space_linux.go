package cache

import "syscall"

// statSpace asks for what is left to this user of dir's file system.
func statSpace(dir string) (space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return space{}, err
	}
	block := int64(st.Bsize)
	return space{
		free: int64(st.Bavail) * block, total: int64(st.Blocks) * block,
		freeFiles: int64(st.Ffree), files: int64(st.Files),
	}, nil
}
