package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

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
	n, started           int
}

func newEdges(program, dir, master string, n int) (*edgesOf, error) {
	addresses, err := freeAddresses(3 * n)
	return &edgesOf{program: program, dir: dir, master: master, addresses: addresses, n: n}, err
}

// start starts some more of the edges, and waits until each knows its own address.
func (w *edgesOf) start(some int) (all []*process, err error) {
	peers := `"` + strings.Join(w.addresses[:w.n], `", "`) + `"`
	for i := w.started; i < w.started+some; i++ {
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
			return all, err
		}
		cmd := exec.Command(w.program, "--config", file)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return all, err
		}
		all = append(all, &process{"http://" + public, "http://" + admin, sync.OnceFunc(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})})
	}
	w.started += some
	for _, p := range all {
		if err := p.await(); err != nil {
			return all, err
		}
	}
	return all, nil
}

func freeAddresses(n int) (all []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all, nil
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
