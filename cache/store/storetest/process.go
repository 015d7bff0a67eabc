package storetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pkgedge/cache/store"
)

// Files returns the bytes and the number of the disk tier's files, counted as the tier does.
func Files(t *testing.T, dir string) (bytes int64, count int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		bytes += (info.Size()+4095)&^4095 + 512
		count++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, count
}

// Heap is the size of the live heap, in bytes.
func Heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// RSS is the process's resident set, in bytes.
func RSS() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	if f := strings.Fields(string(text)); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// VersionOf is the Version of the stored response, 0 for a miss.
func VersionOf(s store.Store, k store.Key) uint64 {
	have := s.Get(k)
	if have == nil {
		return 0
	}
	defer have.Release()
	return have.Version
}
