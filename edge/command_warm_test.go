package main

import (
	"bytes"
	"cmp"
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

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// warmEdge is an edge with the packages a, @s/b and c, of version 1.0.0 each. The
// name of c's tarball is not the usual one.
type warmEdge struct {
	*httptest.Server
	// before may answer in its place, and says whether it has.
	before func(http.ResponseWriter, *http.Request) bool

	mu    sync.Mutex
	asked map[string]int // by path
}

func startWarmEdge(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) *warmEdge {
	t.Helper()
	e := &warmEdge{before: before, asked: map[string]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func warmTarball(name string) []byte { return []byte("the tarball of " + name) }

func sri512(body []byte) string {
	sum := sha512.Sum512(body)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (e *warmEdge) serve(w http.ResponseWriter, r *http.Request) {
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
		w.Write(warmTarball(name))
	case r.Header.Get("Accept") != abbreviated || r.Header.Get("Accept-Encoding") != "gzip":
		http.Error(w, "not what clients ask for", http.StatusNotAcceptable)
	default:
		sum := sha1.Sum(warmTarball(name))
		dist := fmt.Sprintf(`"tarball": "https://elsewhere.example/%s/-/%s", "integrity": %q, "shasum": %q`,
			name, strings.ReplaceAll(files[name], " ", "%20"), sri512(warmTarball(name)), hex.EncodeToString(sum[:]))
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
	return lockfileOf(t, map[string]string{"a@1.0.0": sri512(warmTarball("a")), "@s/b@1.0.0": sri512(warmTarball("@s/b")), "c@1.0.0": ""})
}

var warmSeconds = regexp.MustCompile(`in [0-9]+\.[0-9] s`)

// warmSummary is a golden summary's counterpart of what was printed.
func warmSummary(stdout string, e *httptest.Server) string {
	return warmSeconds.ReplaceAllString(strings.ReplaceAll(stdout, e.URL, "URL"), "in T s")
}

func TestWarmFetchesEachThingOnce(t *testing.T) {
	noLeaks(t)
	e := startWarmEdge(t, nil)
	lock := wholeLockfile(t)
	code, stdout, stderr := command(t, nil, "warm", "--edge", e.URL, lock, lock)
	const golden = `warmed     URL in T s
packages   3 of 3
tarballs   3 of 3
           2 match the digest of the lockfile
           1 match the digest of the packument
received   %s
answers    0 from the cache, 6 fetched
`
	got := warmSummary(stdout, e.Server)
	size := regexp.MustCompile(`received   (.*)`).FindStringSubmatch(got)
	if len(size) == 0 || code != exitOK || got != fmt.Sprintf(golden, size[1]) || stderr != "" {
		t.Errorf("exit code %d, stderr %q, got\n%s\nwant\n%s", code, stderr, got, golden)
	}
	for _, path := range []string{"/a", "/@s/b", "/c", "/a/-/a-1.0.0.tgz", "/@s/b/-/b-1.0.0.tgz", "/c/-/c-v1 +.tgz"} {
		if e.asked[path] != 1 {
			t.Errorf("asked %d times for %s", e.asked[path], path)
		}
	}
	if len(e.asked) != 6 {
		t.Errorf("asked for %v", e.asked)
	}

	code, stdout, _ = command(t, nil, "warm", "--edge", e.URL+"/", lock)
	if want := "answers    6 from the cache, 0 fetched\n"; code != exitOK || !strings.Contains(stdout, want) {
		t.Errorf("the second time: exit code %d\n%s", code, stdout)
	}
}

func TestWarmReportsWhatFails(t *testing.T) {
	e := startWarmEdge(t, func(w http.ResponseWriter, r *http.Request) bool {
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
		"a@1.0.0": sri512([]byte("other bytes")), "a@0.9.0": "", "@s/b@1.0.0": sri512(warmTarball("@s/b")),
		"missing@1.0.0": "", "page@1.0.0": "", "short@1.0.0": "", "plain@1.0.0": "", "odd@1.0.0": "sha512-tooshort md5-AAAA",
	})
	lock2 := lockfileOf(t, map[string]string{"a@0.9.0": ""})
	code, stdout, _ := command(t, nil, "warm", "--edge", e.URL, lock, lock2)
	if code != exitError {
		t.Errorf("exit code %d; want %d", code, exitError)
	}
	for _, want := range []string{
		"packages   5 of 7\n",
		"tarballs   2 of 8\n",
		"           1 could not be verified: neither a lockfile nor the packument has a digest\n",
		"           6 without Cache-Status\n",
		"failed     6\n",
		"  a@0.9.0: 404 Not Found: Not found\n",
		"  a@1.0.0: wrong bytes: " + sri512(warmTarball("a")) + ", where " + lock + " has " + sri512([]byte("other bytes")) + "\n",
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
	e := startWarmEdge(t, nil)
	good := lockfileOf(t, map[string]string{"a@1.0.0": "sha1-AAAA sha384-bad " + sri512([]byte("x")) + " " + sri512(warmTarball("a"))})
	sum := sha1.Sum([]byte("other bytes"))
	bad := lockfileOf(t, map[string]string{"a@1.0.0": "sha1-" + base64.StdEncoding.EncodeToString(sum[:])})
	if code, stdout, _ := command(t, nil, "warm", "--edge", e.URL, good); code != exitOK {
		t.Errorf("one of several hashes matches: exit code %d\n%s", code, stdout)
	}
	code, stdout, _ := command(t, nil, "warm", "--edge", e.URL, good, bad)
	if code != exitError || !strings.Contains(stdout, ", where "+bad+" has sha1-") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

func TestWarmAsksNoMoreThanJobsAtOnce(t *testing.T) {
	const jobs, packages = 3, 9
	arrived, release := make(chan struct{}, packages), make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	e := startWarmEdge(t, func(w http.ResponseWriter, r *http.Request) bool {
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
		for range jobs { // all of them are held at once
			<-arrived
		}
		close(release)
		for range arrived {
		}
	}()
	command(t, nil, "warm", "--edge", e.URL, "--jobs", "3", lockfileOf(t, wanted))
	close(arrived)
	if most != jobs {
		t.Errorf("%d requests at once; want %d", most, jobs)
	}
}

func TestWarmEndsWhenItIsInterrupted(t *testing.T) {
	noLeaks(t)
	arrived := make(chan struct{}, 16)
	e := startWarmEdge(t, func(_ http.ResponseWriter, r *http.Request) bool {
		arrived <- struct{}{}
		<-r.Context().Done()
		return true
	})
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-arrived
		interrupt()
	}()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"warm", "--edge", e.URL, wholeLockfile(t)}, &out, &errs, edgetest.NoEnv)
	if code != exitError || errs.String() != "edge: interrupted\n" || !strings.Contains(out.String(), "packages   0 of 3\n") {
		t.Errorf("exit code %d, %q\n%s", code, errs.String(), out.String())
	}
	if strings.Contains(out.String(), "failed") {
		t.Errorf("counts what was interrupted as failed:\n%s", out.String())
	}
}

func TestWarmAsksTheAdminListenerWhereTheSiteIs(t *testing.T) {
	e := startWarmEdge(t, nil)
	a := startAdmin(t, "")
	lock := wholeLockfile(t)
	type site struct {
		Name   string `json:"name"`
		Kind   string `json:"kind"`
		Public string `json:"public"`
	}
	npm, other := site{"npm", "npm", e.URL}, site{"other", "npm", "https://other.example"}
	tree := site{"tree", "files", "https://tree.example"}
	for _, tt := range []struct {
		name   string
		sites  []site
		args   []string
		code   int
		stderr string
	}{
		{"the only one of kind npm", []site{tree, npm}, nil, exitOK, ""},
		{"named", []site{other, npm}, []string{"--site", "npm"}, exitOK, ""},
		{"several", []site{npm, other}, nil, exitUsage, "choose with --site one of npm, other"},
		{"of another kind", []site{tree, npm}, []string{"--site", "tree"}, exitUsage, `no site "tree" of kind npm`},
		{"none", []site{tree}, nil, exitUsage, "has no site of kind npm"},
		{"given twice", []site{npm}, []string{"--edge", e.URL}, exitUsage, "leave out --admin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.status = func() any { return map[string]any{"ready": true, "sites": tt.sites, "newer": 1} }
			code, _, stderr := command(t, nil, append([]string{"warm", "--admin", a.URL, lock}, tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, cmp.Or(tt.stderr, "\n")) && stderr != tt.stderr {
				t.Errorf("exit code %d, %q; want %d, %q", code, stderr, tt.code, tt.stderr)
			}
		})
	}
	a.Close()
	if code, _, stderr := command(t, nil, "warm", "--admin", a.URL, lock); code != exitError || !strings.Contains(stderr, "cannot reach") {
		t.Errorf("without an admin listener: exit code %d, %q", code, stderr)
	}
}

func TestWarmRefusesMistakes(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.lock"), wholeLockfile(t)
	edgetest.WriteFile(t, bad, "neither")
	for _, tt := range []struct{ args, stderr string }{
		{"", "expected \"<lockfile> ...\""},
		{dir + "/none.lock", "none.lock: cannot open it: no such file or directory"},
		{good + " " + bad, bad + ": cannot read it: not a lockfile of npm, pnpm, Yarn or Bun"},
		{dir, "cannot read it: "},
		{"--jobs 0 " + good, "--jobs: 0 is not from 1 to 256"},
		{"--jobs 257 " + good, "--jobs: 257 is not from 1 to 256"},
		{"--timeout 0s " + good, "--timeout: 0s is not more than nothing"},
		{"--edge ftp://x " + good, `edge: --edge: "ftp://x" does not begin with http:// or https://`},
	} {
		code, stdout, stderr := command(t, nil, append([]string{"warm"}, strings.Fields(tt.args)...)...)
		if code != exitUsage || !strings.Contains(stderr, tt.stderr) || stdout != "" {
			t.Errorf("%s: exit code %d, %q, %q; want %d, %q", tt.args, code, stdout, stderr, exitUsage, tt.stderr)
		}
	}
}

// The sample masters are a registry that is not the edge. Berry's lockfile holds
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
	code, stdout, _ := command(t, nil, "warm", "--edge", master.URL(), "lockfile/testdata/yarn-berry.lock")
	for _, want := range []string{
		"packages   5 of 5\n", "tarballs   7 of 7\n           7 match the digest of the packument\n", "           12 without Cache-Status\n",
		"skipped    3 that", "note       lockfile/testdata/yarn-berry.lock: Yarn Berry's checksums",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the summary lacks %q", want)
		}
	}
	if code != exitOK || t.Failed() {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}
