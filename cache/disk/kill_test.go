package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/fsys"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// killDir names the directory for the process that is to be killed, which is
// this test binary once more.
const killDir = "EDGE_TEST_KILL_DIR"

func killKey(i int) store.Key { return store.Key{Site: "s", ID: fmt.Sprint(i % 20)} }

// A SIGKILL at any moment leaves the committed responses, and nothing partial.
func TestDiskKilled(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		untilKilled(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestDiskKilled$")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var i int
			if _, err := fmt.Sscanf(lines.Text(), "committed %d", &i); err == nil {
				last = i
			}
			if last == 100+37*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if last < 100 {
			t.Fatalf("round %d: only %d commits", round, last)
		}
		d := openedDisk(t, dir, 64<<20)
		for i := last - 19; i <= last; i++ {
			k := killKey(i)
			s := d.Get(k)
			if s == nil {
				t.Fatalf("round %d: commit %d is lost", round, i)
			}
			if n := int(s.Version) - 1; n != i && n != i+20 || string(storetest.Bytes(t, s)) != string(storetest.Payload(n, 1000*(n%90))) {
				t.Errorf("round %d: commit %d has ID %d, or other bytes", round, i, s.Version)
			}
			s.Release()
			d.Remove(k, s.Version)
		}
		d.Scan(nil)
		if _, count := storetest.Files(t, dir); count > 1 || d.Index.Count.Load() != int64(count) { // one may be newer than its line
			t.Errorf("round %d: %d files are left, %d counted", round, count, d.Index.Count.Load())
		}
		d.Close()
		if err := os.RemoveAll(dir + "/objects"); err != nil {
			t.Fatal(err)
		}
	}
}

// untilKilled commits, and says so.
func untilKilled(t *testing.T, dir string) {
	d, err := Open(Config{Sys: fsys.System(), Buffers: budget.NewBuffers(1 << 20), Dir: dir, Limit: 64 << 20, Notify: func(op string, err error) { t.Error(op, err) }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		k, b := killKey(i), storetest.Payload(i, 1000*(i%90))
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		fmt.Println("committed", i)
	}
}
