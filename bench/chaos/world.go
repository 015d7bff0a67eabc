package main

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

// world is the masters, and the right answers.
type world struct {
	registry, tree *sample.Store
	npm, files     []*master
	truth          *sample.Server // of the registry; never in trouble

	packages []string
	heavy    int // the first of packages are of some MB
	paths    []string
	bodies   map[string][]byte // of the tree

	mu   sync.Mutex
	sums map[string][32]byte // of tarballs, by path
}

// master is one master with the gate at which it drips.
type master struct {
	*faults.Master
	server  *sample.Server
	name    string
	refused bool
	lagging bool
	drip    *faults.Gate
}

const (
	lightPackages = 200
	heavyPackages = 8
	treeFiles     = 60
)

// newWorld makes a registry and a tree, with their masters.
func newWorld(random *rand.Rand) (*world, error) {
	w := &world{registry: sample.NewStore(), tree: sample.NewStore(), bodies: make(map[string][]byte), sums: make(map[string][32]byte), heavy: heavyPackages}
	for i := range heavyPackages + lightPackages {
		name, size := fmt.Sprintf("chaos-%d", i), 1<<10+random.IntN(120<<10)
		if i < heavyPackages {
			name, size = fmt.Sprintf("chaos-heavy-%d", i), 1<<20+random.IntN(4<<20)
		}
		if i%7 == 0 {
			name = "@chaos/" + name
		}
		if err := w.publish(name, "1.0.0", size); err != nil {
			return nil, err
		}
		w.packages = append(w.packages, name)
	}
	for i := range treeFiles {
		path := fmt.Sprintf("/v%d/tool-%d.tar", i%5, i)
		w.paths, w.bodies[path] = append(w.paths, path), tarball.Noise(path, 1<<10+random.IntN(300<<10))
		if err := w.tree.AddFile(path, w.bodies[path], nil); err != nil {
			return nil, err
		}
	}
	for i := range 3 {
		if err := w.start(&w.npm, w.registry, fmt.Sprintf("npm %d", i)); err != nil {
			return nil, err
		}
	}
	for i := range 2 {
		if err := w.start(&w.files, w.tree, fmt.Sprintf("files %d", i)); err != nil {
			return nil, err
		}
	}
	var err error
	w.truth, err = sample.NewMaster(w.registry, sample.Options{}).Start()
	return w, err
}

func (w *world) start(to *[]*master, store *sample.Store, name string) (err error) {
	m := &master{Master: faults.NewMaster(store), name: name, drip: faults.NewGate()}
	if m.server, err = m.Start(); err != nil {
		return err
	}
	*to = append(*to, m)
	return nil
}

func (w *world) close() {
	for _, m := range append(w.npm, w.files...) {
		m.server.Close()
	}
	if w.truth != nil {
		w.truth.Close()
	}
}

// publish adds a version of a package with a tarball of about that many bytes.
func (w *world) publish(name, number string, size int) error {
	return w.registry.AddPackage(name, sample.Version{
		Number: number, Files: map[string][]byte{"data.bin": tarball.Noise(name+number, size)},
	})
}
