package warm

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// testEdge is an edge with the packages a, @s/b and c, of version 1.0.0 each. The
// name of c's tarball is not the usual one.
type testEdge struct {
	*httptest.Server
	// before may answer in its place, and says whether it has.
	before func(http.ResponseWriter, *http.Request) bool

	mu    sync.Mutex
	asked map[string]int // by path
}

func startEdge(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) *testEdge {
	t.Helper()
	e := &testEdge{before: before, asked: map[string]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func tarballOf(name string) []byte { return []byte("the tarball of " + name) }

func sri512(body []byte) string {
	sum := sha512.Sum512(body)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (e *testEdge) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.asked[r.URL.Path]++
	again := e.asked[r.URL.Path] > 1
	e.mu.Unlock()
	if e.before != nil && e.before(w, r) {
		return
	}
	status := "edge; fwd=uri-miss; stored"
	if again {
		status = "edge; hit"
	}
	w.Header().Add("Cache-Status", "other; hit")
	w.Header().Add("Cache-Status", status)
	name, file, isFile := strings.Cut(r.URL.Path[1:], "/-/")
	files := map[string]string{"a": "a-1.0.0.tgz", "@s/b": "b-1.0.0.tgz", "c": "c-v1 +.tgz"}
	switch {
	case files[name] == "" || isFile && file != files[name]:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error": "Not found"}`)
	case isFile:
		w.Write(tarballOf(name))
	case r.Header.Get("Accept") != abbreviated || r.Header.Get("Accept-Encoding") != "gzip":
		http.Error(w, "not what clients ask for", http.StatusNotAcceptable)
	default:
		sum := sha1.Sum(tarballOf(name))
		dist := fmt.Sprintf(`"tarball": "https://elsewhere.example/%s/-/%s", "integrity": %q, "shasum": %q`,
			name, strings.ReplaceAll(files[name], " ", "%20"), sri512(tarballOf(name)), hex.EncodeToString(sum[:]))
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		fmt.Fprintf(zip, `{"name": %q, "versions": {"0.9.0": {"dist": {}}, "1.0.0": {"name": %[1]q, "dist": {%s}}}, "readme": ""}`, name, dist)
		zip.Close()
	}
}

// lockfileOf writes a package-lock.json of "name": "integrity".
func lockfileOf(t *testing.T, packages map[string]string) string {
	t.Helper()
	var entries []string
	for spec, integrity := range packages {
		at := strings.LastIndexByte(spec, '@')
		entries = append(entries, fmt.Sprintf(`"node_modules/in%d/node_modules/%s": {"version": %q, "integrity": %q}`, len(entries), spec[:at], spec[at+1:], integrity))
	}
	path := filepath.Join(t.TempDir(), "package-lock.json")
	edgetest.WriteFile(t, path, `{"lockfileVersion": 3, "packages": {"": {},`+strings.Join(entries, ",")+`}}`)
	return path
}

func wholeLockfile(t *testing.T) string {
	return lockfileOf(t, map[string]string{"a@1.0.0": sri512(tarballOf("a")), "@s/b@1.0.0": sri512(tarballOf("@s/b")), "c@1.0.0": ""})
}

var seconds = regexp.MustCompile(`in [0-9]+\.[0-9] s`)

// summaryOf replaces the URL and the seconds in a summary, as a golden one has them.
func summaryOf(stdout string, e *httptest.Server) string {
	return seconds.ReplaceAllString(strings.ReplaceAll(stdout, e.URL, "URL"), "in T s")
}

// warmUp warms the edge at that URL, with a few jobs, and returns the counts,
// their summary and the progress.
func warmUp(t *testing.T, ctx context.Context, edge string, lockfiles ...string) (tally *Tally, summary, progress string) {
	t.Helper()
	plan, err := ReadPlan(lockfiles)
	if err != nil {
		t.Fatal(err)
	}
	var out, shown bytes.Buffer
	tally = Run(ctx, plan, Options{Edge: edge, Jobs: 3, Timeout: time.Minute, Progress: &shown})
	if err := tally.Print(&out, edge); err != nil {
		t.Fatal(err)
	}
	return tally, out.String(), shown.String()
}

func TestWarmFetchesEachThingOnce(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	e := startEdge(t, nil)
	lock := wholeLockfile(t)
	tally, stdout, progress := warmUp(t, t.Context(), e.URL, lock, lock)
	const golden = `warmed     URL in T s
packages   3 of 3
tarballs   3 of 3
           2 match the digest of the lockfile
           1 match the digest of the packument
received   %s
answers    0 from the cache, 6 fetched
`
	got := summaryOf(stdout, e.Server)
	size := regexp.MustCompile(`received   (.*)`).FindStringSubmatch(got)
	if len(size) == 0 || tally.Failed() || got != fmt.Sprintf(golden, size[1]) || progress != "" && !strings.HasPrefix(progress, "warming: ") {
		t.Errorf("failed: %t, progress %q, got\n%s\nwant\n%s", tally.Failed(), progress, got, golden)
	}
	for _, path := range []string{"/a", "/@s/b", "/c", "/a/-/a-1.0.0.tgz", "/@s/b/-/b-1.0.0.tgz", "/c/-/c-v1 +.tgz"} {
		if e.asked[path] != 1 {
			t.Errorf("asked %d times for %s", e.asked[path], path)
		}
	}
	if len(e.asked) != 6 {
		t.Errorf("asked for %v", e.asked)
	}

	tally, stdout, _ = warmUp(t, t.Context(), e.URL, lock)
	if want := "answers    6 from the cache, 0 fetched\n"; tally.Failed() || !strings.Contains(stdout, want) {
		t.Errorf("the second time: failed: %t\n%s", tally.Failed(), stdout)
	}
}

func TestWarmReportsWhatFails(t *testing.T) {
	e := startEdge(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/page":
			io.WriteString(w, "<html>")
		case "/short/-/short-1.0.0.tgz":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "not all of it")
		case "/short", "/plain", "/odd":
			io.WriteString(w, map[string]string{
				"/short": `{"versions": {"1.0.0": {"dist": {}}}}`, "/plain": `{}`,
				"/odd": `{"versions": {"1.0.0": {"dist": {"tarball": 1}}}}`,
			}[r.URL.Path])
		case "/odd/-/odd-1.0.0.tgz":
			io.WriteString(w, "without a digest")
		default:
			return false
		}
		return true
	})
	lock := lockfileOf(t, map[string]string{
		"a@1.0.0": sri512([]byte("other bytes")), "a@0.9.0": "", "@s/b@1.0.0": sri512(tarballOf("@s/b")),
		"missing@1.0.0": "", "page@1.0.0": "", "short@1.0.0": "", "plain@1.0.0": "", "odd@1.0.0": "sha512-tooshort md5-AAAA",
	})
	lock2 := lockfileOf(t, map[string]string{"a@0.9.0": ""})
	tally, stdout, _ := warmUp(t, t.Context(), e.URL, lock, lock2)
	if !tally.Failed() {
		t.Error("not failed")
	}
	for _, want := range []string{
		"packages   5 of 7\n",
		"tarballs   2 of 8\n",
		"           1 could not be verified: neither a lockfile nor the packument has a digest\n",
		"           6 without Cache-Status\n",
		"failed     6\n",
		"  a@0.9.0: 404 Not Found: Not found\n",
		"  a@1.0.0: wrong bytes: " + sri512(tarballOf("a")) + ", where " + lock + " has " + sri512([]byte("other bytes")) + "\n",
		"  missing: 404 Not Found: Not found\n",
		"  page: cannot read the packument: ",
		"  plain@1.0.0: 404 Not Found: Not found (the packument has no such version)\n",
		"  short@1.0.0: unexpected EOF\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the summary lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(stdout)
	}
}

func TestWarmHoldsToEveryLockfile(t *testing.T) {
	e := startEdge(t, nil)
	good := lockfileOf(t, map[string]string{"a@1.0.0": "sha1-AAAA sha384-bad " + sri512([]byte("x")) + " " + sri512(tarballOf("a"))})
	sum := sha1.Sum([]byte("other bytes"))
	bad := lockfileOf(t, map[string]string{"a@1.0.0": "sha1-" + base64.StdEncoding.EncodeToString(sum[:])})
	if tally, stdout, _ := warmUp(t, t.Context(), e.URL, good); tally.Failed() {
		t.Errorf("one of several hashes matches: failed\n%s", stdout)
	}
	tally, stdout, _ := warmUp(t, t.Context(), e.URL, good, bad)
	if !tally.Failed() || !strings.Contains(stdout, ", where "+bad+" has sha1-") {
		t.Errorf("failed: %t\n%s", tally.Failed(), stdout)
	}
}

func TestWarmAsksNoMoreThanJobsAtOnce(t *testing.T) {
	const jobs, packages = 3, 9
	arrived, release := make(chan struct{}, packages), make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	e := startEdge(t, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		arrived <- struct{}{}
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		io.WriteString(w, `{}`)
		return true
	})
	wanted := map[string]string{}
	for i := range packages {
		wanted[fmt.Sprintf("p%d@1.0.0", i)] = ""
	}
	go func() {
		for range jobs { // all of them wait at once
			<-arrived
		}
		close(release)
		for range arrived {
		}
	}()
	warmUp(t, t.Context(), e.URL, lockfileOf(t, wanted)) // of three jobs
	close(arrived)
	if most != jobs {
		t.Errorf("%d requests at once; want %d", most, jobs)
	}
}

func TestWarmEndsWhenItIsInterrupted(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	arrived := make(chan struct{}, 16)
	e := startEdge(t, func(_ http.ResponseWriter, r *http.Request) bool {
		arrived <- struct{}{}
		<-r.Context().Done()
		return true
	})
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-arrived
		interrupt()
	}()
	tally, stdout, _ := warmUp(t, ctx, e.URL, wholeLockfile(t))
	if !strings.Contains(stdout, "packages   0 of 3\n") {
		t.Errorf("got\n%s", stdout)
	}
	if tally.Failed() || strings.Contains(stdout, "failed") {
		t.Errorf("counts an interrupted fetch as failed:\n%s", stdout)
	}
}

// The sample masters are a registry that is not the edge. Berry's lockfile has
// no digests of theirs.
func TestWarmWithARegistry(t *testing.T) {
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	master, err := faults.NewMaster(store).Start()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	tally, stdout, _ := warmUp(t, t.Context(), master.URL(), "../lockfile/testdata/yarn-berry.lock")
	for _, want := range []string{
		"packages   5 of 5\n", "tarballs   7 of 7\n           7 match the digest of the packument\n", "           12 without Cache-Status\n",
		"skipped    3 that", "note       ../lockfile/testdata/yarn-berry.lock: Yarn Berry's checksums",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the summary lacks %q", want)
		}
	}
	if tally.Failed() || t.Failed() {
		t.Errorf("failed: %t\n%s", tally.Failed(), stdout)
	}
}
