package disk

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/purge"
	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// BenchmarkMillion measures the disk tier with as many 4 KiB objects as
// EDGE_BENCH_MILLION says, in EDGE_BENCH_DIR, where they stay for the next run:
//
//	EDGE_BENCH_MILLION=1000000 EDGE_BENCH_DIR=/tmp/million \
//		go test -run xxx -bench Million -benchtime 1x -timeout 1h -v ./cache
//
// As root, EDGE_BENCH_COLD=1 empties the page cache before each start. The
// figures are in docs/decisions/0003.
func BenchmarkMillion(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("EDGE_BENCH_MILLION"))
	dir := os.Getenv("EDGE_BENCH_DIR")
	if n == 0 || dir == "" {
		b.Skip("EDGE_BENCH_MILLION and EDGE_BENCH_DIR are not set")
	}
	const limit = 1 << 40
	fillMillion(b, dir, n, limit)
	for b.Loop() {
		startOfMillion(b, dir, n, limit)
		snapshotOfMillion(b, dir, n)
		latencyOfMillion(b, dir, n, limit)
		purgeOfMillion(b, dir)
	}
}

func millionKey(i int) store.Key {
	return store.Key{Site: "npm", ID: fmt.Sprintf("file/@scope/package-%d/package-%d-1.%d.0.tgz", i, i, i%100), Group: fmt.Sprint(i / 1000)}
}

func millionMeta(i int, body []byte) *store.Meta {
	return storetest.Meta(millionKey(i), uint64(i+1), body,
		"Cache-Control: public, max-age=31536000, immutable", fmt.Sprintf(`Etag: "%040x"`, i),
		"Content-Type: application/octet-stream", "Content-Length: 4096",
		"Date: Sun, 01 Mar 2026 12:00:00 GMT", "Last-Modified: Sat, 01 Mar 2025 12:00:00 GMT",
		"Server: registry.example", "Accept-Ranges: bytes")
}

func fillMillion(b *testing.B, dir string, n int, limit int64) {
	done := filepath.Join(dir, "objects-"+strconv.Itoa(n))
	if _, err := os.Stat(done); err == nil {
		return
	}
	d, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: limit, Notify: func(op string, err error) { b.Log(op, err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	began := time.Now()
	for i := range n {
		body := storetest.Payload(i, 4096)
		storetest.Write(b, d, millionKey(i), millionMeta(i, body), body)
	}
	b.Logf("%d objects written in %v, %d bytes as counted", n, time.Since(began), d.Used())
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		b.Fatal(err)
	}
}

func chill(b *testing.B) string {
	if os.Getenv("EDGE_BENCH_COLD") == "" {
		return "warm"
	}
	syscall.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		b.Fatal(err)
	}
	return "cold"
}

func startOfMillion(b *testing.B, dir string, n int, limit int64) {
	state := chill(b)
	before, resident := storetest.Heap(), storetest.RSS()
	began := time.Now()
	d, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: limit, Notify: func(op string, err error) { b.Log(op, err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	opened := time.Since(began)
	s := d.Get(millionKey(n / 2))
	if s == nil {
		b.Fatal("not stored")
	}
	s.Release()
	b.Logf("%s start: open %v, first hit after %v", state, opened, time.Since(began))
	stop, scanned := make(chan struct{}), make(chan struct{})
	began = time.Now()
	var slowest time.Duration
	var hits int
	go func() {
		d.Scan(stop)
		close(scanned)
	}()
	for going := true; going; {
		select {
		case <-scanned:
			going = false
		default:
			t := time.Now()
			if s := d.Get(millionKey(rand.IntN(n))); s != nil {
				s.Release()
				hits++
			}
			slowest = max(slowest, time.Since(t))
			time.Sleep(time.Millisecond)
		}
	}
	took := time.Since(began)
	objects := d.Index.Count.Load()
	b.Logf("%s scan: %v for %d objects (%d bytes as counted), meanwhile %d hits, the slowest %v", state, took, objects, d.Used(), hits, slowest)
	b.Logf("index: %d bytes of heap per object; RSS %d bytes per object", (storetest.Heap()-before)/objects, (storetest.RSS()-resident)/objects)
	gc := time.Now()
	runtime.GC()
	b.Logf("a full garbage collection with it: %v", time.Since(gc))
	runtime.KeepAlive(d)
}

// snapshotOfMillion is the other design, as far as a start goes: a snapshot of
// the index, checked and loaded before the first hit.
func snapshotOfMillion(b *testing.B, dir string, n int) {
	path := filepath.Join(dir, "snapshot")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	record := make([]byte, 40)
	for i := range n {
		sum := millionKey(i).Sum()
		copy(record, sum[:])
		binary.LittleEndian.PutUint64(record[16:], 4096)
		binary.LittleEndian.PutUint64(record[24:], uint64(i))
		binary.LittleEndian.PutUint32(record[36:], crc32.Checksum(record[:36], crc32c))
		w.Write(record)
	}
	w.Flush()
	f.Close()
	state := chill(b)
	began := time.Now()
	x := sieve.New()
	f, err = os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		if _, err := io.ReadFull(r, record); err != nil {
			break
		}
		if crc32.Checksum(record[:36], crc32c) == binary.LittleEndian.Uint32(record[36:]) {
			x.Discover(store.Sum(record[:16]), int64(binary.LittleEndian.Uint64(record[16:])), sieve.FileVisits)
		}
	}
	f.Close()
	b.Logf("%s snapshot: %d entries loaded in %v", state, x.Count.Load(), time.Since(began))
	os.Remove(path)
}

// latencyOfMillion serves random objects over HTTP, in turns from the tier and
// by a plain open and sendfile of the same files.
func latencyOfMillion(b *testing.B, dir string, n int, limit int64) {
	d, err := Open(Config{Sys: fsys.System(), Dir: dir, Limit: limit, Notify: func(op string, err error) { b.Log(op, err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	var failures atomic.Int64
	serve := func(w http.ResponseWriter, f *os.File, off, size int64) {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header()["Content-Type"] = nil
		if _, err := f.Seek(off, io.SeekStart); err != nil {
			failures.Add(1)
		}
		if n, err := io.CopyN(w, f, size); n != size || err != nil {
			failures.Add(1)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.URL.Path[2:])
		k := millionKey(i)
		if r.URL.Path[1] == 't' {
			s := d.Get(k)
			if s == nil {
				failures.Add(1)
				return
			}
			defer s.Release()
			raw := s.Body.(*Entry).Raw
			serve(w, raw.File, raw.Base, s.Size())
			return
		}
		f, err := os.Open(d.Path(k.Sum()))
		if err != nil {
			failures.Add(1)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			failures.Add(1)
			return
		}
		serve(w, f, info.Size()-4096, 4096)
	}))
	defer server.Close()
	client := server.Client()
	ask := func(path string) time.Duration {
		t := time.Now()
		resp, err := client.Get(server.URL + path)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return time.Since(t)
	}
	for _, state := range []string{chill(b), "warm"} {
		const rounds = 20_000
		hot := make([]int, rounds) // the same objects for both, each first in half of the rounds
		for i := range hot {
			hot[i] = rand.IntN(n)
		}
		if state == "warm" {
			for _, i := range hot {
				ask("/p" + strconv.Itoa(i))
				ask("/t" + strconv.Itoa(i))
			}
		}
		var tier, plain []time.Duration
		for round, i := range hot {
			other := i
			if state == "cold" { // else the second of the two finds the file in the page cache
				other = rand.IntN(n)
			}
			if round%2 == 0 {
				tier = append(tier, ask("/t"+strconv.Itoa(i)))
				plain = append(plain, ask("/p"+strconv.Itoa(other)))
			} else {
				plain = append(plain, ask("/p"+strconv.Itoa(other)))
				tier = append(tier, ask("/t"+strconv.Itoa(i)))
			}
		}
		slices.Sort(tier)
		slices.Sort(plain)
		at := func(all []time.Duration, q int) time.Duration { return all[len(all)*q/1000] }
		b.Logf("%s hits over HTTP: p50 %v (plain open+sendfile %v), p99 %v (%v), p99.9 %v (%v)", state,
			at(tier, 500), at(plain, 500), at(tier, 990), at(plain, 990), at(tier, 999), at(plain, 999))
	}
	if n := failures.Load(); n > 0 {
		b.Fatalf("%d requests failed", n)
	}
}

func purgeOfMillion(b *testing.B, dir string) {
	p, err := purge.Open(fsys.System(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	var all []time.Duration
	for i := range 200 {
		t := time.Now()
		if err := p.Add(purge.Purge{Scope: purge.Group, Site: "npm", Name: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(t))
	}
	slices.Sort(all)
	b.Logf("purge of a package with 1000 URLs: p50 %v, p99 %v, slowest %v", all[100], all[198], all[199])
}
