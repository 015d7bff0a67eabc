package disk

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/budget"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/quarantine"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// TestDiskFaults makes each call of a life fail once, in each way, and kills the
// edge at each. Every earlier commit is readable afterwards, nothing partial is,
// the counts are right, and nothing is left open.
func TestDiskFaults(t *testing.T) {
	met := map[string]bool{}
	for name, live := range map[string]func(*life){"small": (*life).small, "large": (*life).large} {
		for _, killed := range []bool{false, true} {
			var writes map[int]bool
			t.Run(fmt.Sprintf("%s killed=%t", name, killed), func(t *testing.T) {
				writes = meetFaults(t, live, &fsystest.Faults{Killed: killed}, nil, met)
			})
			t.Run(fmt.Sprintf("%s killed=%t, written in part", name, killed), func(t *testing.T) {
				meetFaults(t, live, &fsystest.Faults{Killed: killed, Short: true}, writes, met)
			})
		}
	}
	for _, op := range []string{"open", "create", "mkdir", "rename", "remove", "list", "stat", "chmod", "read", "write", "sync", "space"} {
		if !met[op] {
			t.Errorf("no %s failed: %v", op, slices.Collect(maps.Keys(met)))
		}
	}
}

// meetFaults lives once for each call of a life, or for those of only. It returns those that
// wrote.
func meetFaults(t *testing.T, live func(*life), kind *fsystest.Faults, only map[int]bool, met map[string]bool) (writes map[int]bool) {
	writes = make(map[int]bool)
	dry := &fsystest.Faults{}
	d, err := Open(Config{Sys: dry.Calls(), Buffers: budget.NewBuffers(1 << 20), Dir: t.TempDir(), Limit: 8 << 20, Notify: func(string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	dry.Count = 0
	h, made := newHistory(), payloads{}
	live(&life{Store: d, history: h, made: made})
	calls := dry.Count
	h.check(t, d, true)
	d.Close()
	errnos := []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EMFILE}
	dir := t.TempDir()
	for at := 1; at <= calls; at++ {
		if only != nil && !only[at] {
			continue
		}
		f := &fsystest.Faults{Err: errnos[at%len(errnos)], Killed: kind.Killed, Short: kind.Short, Gone: make(chan struct{})}
		d, err := Open(Config{Sys: f.Calls(), Buffers: budget.NewBuffers(1 << 20), Dir: dir, Limit: 8 << 20, Notify: func(string, error) {}})
		if err != nil {
			t.Fatal(err)
		}
		f.Count, f.FailAt = 0, at
		h := newHistory()
		live(&life{Store: d, history: h, made: made, stop: f.Gone})
		met[f.Failed] = true
		writes[at] = f.Failed == "write"
		f.FailAt = 0
		if !kind.Killed {
			h.check(t, d, true) // the fault has passed
			used, count := storetest.Files(t, dir)
			if have := d.Used() + d.reserved.Load(); have < used || d.Index.Count.Load() < int64(count) {
				t.Errorf("%d bytes in %d files, counted %d in %d", used, count, have, d.Index.Count.Load())
			}
		}
		d.Close()
		if d, err = Open(Config{Sys: fsystest.Quick(), Buffers: budget.NewBuffers(1 << 20), Dir: dir, Limit: 8 << 20, Notify: func(string, error) {}}); err != nil {
			t.Fatal(err)
		}
		h.check(t, d, true)
		d.Scan(nil)
		if used, count := storetest.Files(t, dir); used != d.Used() || int64(count) != d.Index.Count.Load() {
			t.Errorf("after a restart %d bytes in %d files, counted %d in %d", used, count, d.Used(), d.Index.Count.Load())
		}
		for name := range h.bodies {
			k := store.Key{Site: "s", ID: name}
			if s := d.Get(k); s != nil {
				s.Release()
				d.Remove(k, s.Version)
			}
		}
		d.Close()
		storetest.Clean(t, dir)
		made, err := os.ReadDir(filepath.Join(dir, "objects"))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range made {
			os.Remove(filepath.Join(dir, "objects", one.Name()))
		}
		if t.Failed() {
			t.Fatalf("call %d of %d, %s", at, calls, f.Failed)
		}
	}
	return writes
}

// A power cut leaves files short, empty or with holes: each is a miss, and the other files
// are as before.
func TestDiskPowerCut(t *testing.T) {
	for _, cut := range []struct {
		name string
		file func(b []byte) []byte
	}{
		{"empty", func(b []byte) []byte { return nil }},
		{"half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"one byte less", func(b []byte) []byte { return b[:len(b)-1] }},
		{"all holes", func(b []byte) []byte { return make([]byte, len(b)) }},
		{"holes at the end", func(b []byte) []byte { return append(b[:len(b)/2:len(b)/2], make([]byte, len(b)-len(b)/2)...) }},
		{"holes in front", func(b []byte) []byte { return append(make([]byte, len(b)/2), b[len(b)/2:]...) }},
		{"the last block", func(b []byte) []byte {
			keep := (len(b) - 1) &^ 4095
			return append(b[:keep:keep], make([]byte, len(b)-keep)...)
		}},
	} {
		t.Run(cut.name, func(t *testing.T) {
			dir := t.TempDir()
			h := newHistory()
			d := openedDisk(t, dir, 8<<20)
			(&life{Store: d, history: h, made: payloads{}}).small()
			victim := d.Path(store.Key{Site: "s", ID: "large"}.Sum())
			d.Close()
			b, err := os.ReadFile(victim)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(victim, cut.file(b), 0o600); err != nil {
				t.Fatal(err)
			}
			d = openedDisk(t, dir, 8<<20)
			storetest.Expect(t, d, store.Key{Site: "s", ID: "large"}, 0, nil)
			delete(h.bodies, "large")
			h.check(t, d, true)
			if left, _ := os.ReadDir(filepath.Join(dir, "quarantine")); len(left) != 1 || d.quarantine.Count() != 1 {
				t.Errorf("%d files are in quarantine, counted %d, want 1", len(left), d.quarantine.Count())
			}
			d.Scan(nil)
			if used, _ := storetest.Files(t, dir); d.Used() != used+d.quarantine.Bytes.Load() || d.quarantine.Bytes.Load() == 0 {
				t.Errorf("%d bytes, counted %d, of them %d in quarantine", used, d.Used(), d.quarantine.Bytes.Load())
			}
		})
	}
}

func TestDiskQuarantineIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := openedDisk(t, dir, 64<<20)
	corruptFile := func(i, size int) {
		k, b := store.Key{Site: "s", ID: fmt.Sprint(i)}, storetest.Payload(i, size)
		storetest.Write(t, d, k, storetest.Meta(k, uint64(i+1), b), b)
		storetest.Flip(t, d.Path(k.Sum()), -1)
		storetest.Expect(t, d, k, 0, nil)
	}
	for i := range 30 {
		corruptFile(i, 100)
	}
	corruptFile(30, 2<<20) // more than a 64th
	left, err := os.ReadDir(filepath.Join(dir, "quarantine"))
	if err != nil || len(left) != quarantine.MaxFiles || d.quarantine.Count() != quarantine.MaxFiles || d.corrupt.Load() != 31 {
		t.Errorf("%d files kept aside, counted %d of %d corrupt; want %d of 31: %v", len(left), d.quarantine.Count(), d.corrupt.Load(), quarantine.MaxFiles, err)
	}
	used := d.quarantine.Bytes.Load()
	d.Close()
	d = openedDisk(t, dir, 64<<20)
	if d.quarantine.Count() != quarantine.MaxFiles || d.quarantine.Bytes.Load() != used {
		t.Errorf("after a restart %d files of %d bytes, want %d of %d", d.quarantine.Count(), d.quarantine.Bytes.Load(), quarantine.MaxFiles, used)
	}
	for i := range 4 {
		corruptFile(100+i, 400_000)
	}
	if have := d.quarantine.Bytes.Load(); have > d.limit/64 || d.quarantine.Count() != 2 {
		t.Errorf("%d bytes in %d files kept aside, limit %d", have, d.quarantine.Count(), d.limit/64)
	}
}

// A file that cannot be removed still takes space.
func TestDiskCountsWhatItCannotRemove(t *testing.T) {
	k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 10_000)
	for name, lose := range map[string]func(d *Store){
		"evicted":     func(d *Store) { d.evictTo(0, 10) },
		"removed":     func(d *Store) { d.Remove(k, 1) },
		"quarantined": func(d *Store) { d.limit, d.quarantine.Limit = 0, 0; storetest.Flip(t, d.Path(k.Sum()), -1); d.Get(k) },
		"aborted": func(d *Store) {
			w, err := d.Create(k, storetest.Meta(k, 2, b), -1)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(b)
			w.Abort()
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := openHere(t, t.TempDir())
			storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
			d.sys.Remove = func(string) error { return syscall.EIO }
			d.quarantine.Sys.Remove = d.sys.Remove
			lose(d)
			want := int64(1)
			if name == "aborted" {
				want = 2
			}
			if have := d.Used() + d.reserved.Load(); have < want*onDisk(10_000) {
				t.Errorf("%d bytes are counted, %d files are there", have, want)
			}
			if !d.breaker.Open(time.Now()) {
				t.Error("it goes on writing")
			}
		})
	}
}

// A file may be replaced between the choice to evict it and its removal.
func TestDiskDoesNotEvictWhatWasJustCommitted(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 1000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	sum, size, _ := d.Index.Evict()
	storetest.Write(t, d, k, storetest.Meta(k, 2, b), b)
	if err := d.unlink(sum, size); err != nil {
		t.Fatal(err)
	}
	storetest.Expect(t, d, k, 2, b)
}

// A look-up that finds damage holds no key lock, so the file may be another one by now. A
// file that cannot be read is not known to be corrupt.
func TestDiskSetsAsideOnlyDamagedFiles(t *testing.T) {
	d := openedDisk(t, t.TempDir(), 8<<20)
	k, b := store.Key{Site: "s", ID: "a"}, storetest.Payload(1, 1000)
	storetest.Write(t, d, k, storetest.Meta(k, 1, b), b)
	replaced := d.Get(k)
	defer replaced.Release()
	storetest.Write(t, d, k, storetest.Meta(k, 2, b), b)
	stored := d.Get(k)
	defer stored.Release()
	d.setAside(k.Sum(), replaced.Body.(*Entry).Info)
	d.setAside(k.Sum(), nil) // its head was damaged, and is not any more
	real := d.sys.Read
	d.sys.Read = func(*os.File, []byte, int64) (int, error) { return 0, syscall.EIO }
	d.setAside(k.Sum(), stored.Body.(*Entry).Info)
	d.sys.Read = real
	storetest.Expect(t, d, k, 2, b)
	if d.corrupt.Load() != 0 {
		t.Errorf("%d corrupt", d.corrupt.Load())
	}
	// A freshening meanwhile leaves the file, and its damage.
	if err := d.Freshen(k, 2, storetest.Meta(k, 3, b)); err != nil {
		t.Fatal(err)
	}
	d.setAside(k.Sum(), stored.Body.(*Entry).Info)
	storetest.Expect(t, d, k, 0, nil)
}
