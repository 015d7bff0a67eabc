package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pkgedge/bench/loopback"
	"pkgedge/edge/report"
)

// process is an edge.
type process struct {
	url, admin string
	stop       func() // once
}

// edgesOf is the edges of a pop, of which some may be started later.
type edgesOf struct {
	program, dir, master string
	addresses            []string // for siblings, for clients and for the operator, of all edges
	n                    int
	all                  []*process // that were started
}

// inPop runs some edges of a pop of n in front of a master of files, and ends all that were started.
func inPop(program string, files int, large bool, n int, do func(*master, *edgesOf) error) error {
	m, err := newMaster(files, large)
	if err != nil {
		return err
	}
	defer m.server.Close()
	dir, err := os.MkdirTemp("", "pop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addresses, err := loopback.Free(3 * n)
	if err != nil {
		return err
	}
	w := &edgesOf{program: program, dir: dir, master: m.url, addresses: addresses, n: n}
	defer func() {
		for _, e := range w.all {
			e.stop()
		}
	}()
	if err := w.start(edges); err != nil {
		return err
	}
	return do(m, w)
}

// start starts some more of the edges, and waits until each knows its own address.
func (w *edgesOf) start(some int) error {
	peers := `"` + strings.Join(w.addresses[:w.n], `", "`) + `"`
	before := len(w.all)
	for i := before; i < before+some; i++ {
		public, admin := w.addresses[w.n+i], w.addresses[2*w.n+i]
		file := filepath.Join(w.dir, fmt.Sprintf("edge-%d.yaml", i))
		text := fmt.Sprintf(`listen: %q
public_url: "http://%s"
admin: { listen: %q }
cache: { memory: 128MiB, disk: 1GiB, dir: %q }
log: { access: "off", level: error }
sites: [{ name: npm, kind: npm, path: /, masters: [{ url: %q, role: primary }] }]
fleet: { name: edge-%d, pop: pop, listen: %q, token: a-token-of-the-benchmark, peers: [%s] }
`, public, public, admin, filepath.Join(w.dir, fmt.Sprintf("cache-%d", i)), w.master, i, w.addresses[i], peers)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		cmd := exec.Command(w.program, "--config", file)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		w.all = append(w.all, &process{"http://" + public, "http://" + admin, sync.OnceFunc(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})})
	}
	for _, p := range w.all[before:] {
		if err := p.await(); err != nil {
			return err
		}
	}
	return nil
}

// await waits until an edge knows itself among its siblings.
func (p *process) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		if s, err := p.status(ctx); err == nil && s.Fleet != nil && s.Fleet.Siblings != nil {
			for _, m := range s.Fleet.Siblings.Members {
				if m.State == "self" {
					return nil
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("an edge does not find itself among its siblings")
}

func (p *process) status(ctx context.Context) (*report.Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+"/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return report.Parse(text)
}
