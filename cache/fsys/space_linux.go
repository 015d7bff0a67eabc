package fsys

import "syscall"

// statSpace asks for what is left to this user of dir's file system.
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
