package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/tarball"
)

// world is the masters, and the right answers.
type world struct {
	store   *sample.Store
	masters []*sample.Server
	truth   *sample.Server // a third one, that no edge knows
	names   []string

	mu       sync.Mutex
	versions map[string]int           // published, by package
	last     map[string]int           // the last whose purge was answered
	sums     map[string][32]byte      // of tarballs, by their path
	troubles map[string]int           // by name
	wrong    []string                 // in words
	count    map[string]int           // of requests, by kind
	longest  map[string]time.Duration // of them
}

const packages = 60

func newWorld() (*world, error) {
	w := &world{
		store: sample.NewStore(), versions: make(map[string]int), last: make(map[string]int), sums: make(map[string][32]byte),
		troubles: make(map[string]int), count: make(map[string]int), longest: make(map[string]time.Duration),
	}
	for i := range packages {
		name := fmt.Sprintf("package-%d", i)
		w.names = append(w.names, name)
		if _, err := w.publish(name); err != nil {
			return nil, err
		}
	}
	for range 2 {
		s, err := sample.NewMaster(w.store, sample.Options{}).Start()
		if err != nil {
			return w, err
		}
		w.masters = append(w.masters, s)
	}
	var err error
	w.truth, err = sample.NewMaster(w.store, sample.Options{}).Start()
	return w, err
}

func (w *world) close() {
	for _, m := range w.masters {
		m.Close()
	}
	if w.truth != nil {
		w.truth.Close()
	}
}

// list is the masters as a list of YAML.
func (w *world) list() string {
	var all []string
	for i, m := range w.masters {
		all = append(all, fmt.Sprintf("{ url: %q, role: %s }", m.URL(), []string{"primary", "replica"}[min(i, 1)]))
	}
	return strings.Join(all, ", ")
}

func tarballOf(name string, version int) string {
	return fmt.Sprintf("/%s/-/%s-1.0.%d.tgz", name, name, version)
}

// publish makes a new version at both masters.
func (w *world) publish(name string) (version int, err error) {
	w.mu.Lock()
	version = w.versions[name] + 1
	w.mu.Unlock()
	number := fmt.Sprintf("1.0.%d", version)
	if err := w.store.AddPackage(name, sample.Version{Number: number, Files: map[string][]byte{"data.bin": tarball.Noise(name+number, 1<<10+rand.IntN(40<<10))}}); err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions[name] = version
	return version, nil
}

// some is a package, and its newest version.
func (w *world) some() (name string, version int) {
	name = w.names[rand.IntN(len(w.names))]
	w.mu.Lock()
	defer w.mu.Unlock()
	return name, w.versions[name]
}

// answered notes that a purge of a version was answered.
func (w *world) answered(name string, version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[name] = max(w.last[name], version)
}

// least is the last version whose purge was answered.
func (w *world) least(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[name]
}

// sum is the digest of a tarball, as a master says that is never in trouble.
func (w *world) sum(path string) (sum [32]byte, err error) {
	w.mu.Lock()
	sum, ok := w.sums[path]
	w.mu.Unlock()
	if ok {
		return sum, nil
	}
	resp, err := http.Get(w.truth.URL() + path)
	if err != nil {
		return sum, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return sum, fmt.Errorf("%s: the truth answers %d, %w", path, resp.StatusCode, err)
	}
	sum = sha256.Sum256(body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sums[path] = sum
	return sum, nil
}

func (w *world) trouble(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles[name]++
}

// request counts a request.
func (w *world) request(kind string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[kind]++
	w.longest[kind] = max(w.longest[kind], took)
}

const maxTold = 20

// complain notes something wrong.
func (w *world) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles["WRONG"]++
	if len(w.wrong) < maxTold {
		w.wrong = append(w.wrong, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}
