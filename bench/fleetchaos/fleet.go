package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pkgedge/bench/loopback"
)

// fleet is all parts.
type fleet struct {
	world   *world
	edges   []*edge
	servers []*process
	program string
	dir     string
}

// edge is an edge with its URLs.
type edge struct {
	*process
	public, admin string
}

const size = 3 // edges, and NATS servers

// newFleet starts all parts.
func newFleet(ctx context.Context, dir, program string, w *world) (*fleet, error) {
	f := &fleet{world: w, dir: dir, program: program}
	if program == "" {
		f.program = filepath.Join(dir, "edge")
		build := exec.CommandContext(ctx, "go", "build", "-o", f.program, "pkgedge/edge")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("cannot build the edge: %w", err)
		}
	}
	addresses, err := loopback.Free(5 * size)
	if err != nil {
		return nil, err
	}
	urls, err := f.startServers(ctx, addresses[:size], addresses[size:2*size])
	if err != nil {
		return f, err
	}
	addresses = addresses[2*size:]
	for i := range size {
		if err := f.addEdge(i, addresses[i], addresses[size+i], addresses[2*size:], urls); err != nil {
			return f, err
		}
	}
	if err := f.init(ctx); err != nil {
		return f, err
	}
	for _, e := range f.edges {
		if err := e.start(ctx); err != nil {
			return f, err
		}
	}
	return f, nil
}

// startServers starts the NATS servers, and returns their URLs as a list of YAML.
func (f *fleet) startServers(ctx context.Context, clients, routes []string) (urls string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for i, address := range clients {
		name := fmt.Sprintf("nats-%d", i)
		log, err := os.Create(filepath.Join(f.dir, name+".log"))
		if err != nil {
			return "", err
		}
		p := &process{name: name, args: []string{self, "-serve-nats", strings.Join([]string{name, address, routes[i], strings.Join(routes, ","), filepath.Join(f.dir, name)}, " ")}, log: log, ready: accepts(address)}
		if err := p.start(ctx); err != nil {
			return "", err
		}
		f.servers = append(f.servers, p)
	}
	return `"nats://` + strings.Join(clients, `", "nats://`) + `"`, nil
}

// addEdge writes an edge's configuration.
func (f *fleet) addEdge(i int, public, admin string, peers []string, urls string) error {
	name := fmt.Sprintf("edge-%d", i)
	file := filepath.Join(f.dir, name+".yaml")
	text := fmt.Sprintf(`listen: %q
public_url: "http://%s"
admin: { listen: %q }
cache: { memory: 64MiB, disk: 1GiB, dir: %q }
log: { access: "off" }
sites:
  - name: npm
    kind: npm
    path: /
    fresh: { metadata: 1h, override: true }
    probe: { every: 1s, timeout: 1s }
    timeouts: { connect: 1s, first_byte: 2s, idle: 4s }
    masters: [%s]
fleet: { name: %s, pop: pop, listen: %q, token: a-token-of-the-benchmark, peers: ["%s"], nats: [%s] }
`, public, public, admin, filepath.Join(f.dir, "cache-"+name), f.world.list(), name, peers[i], strings.Join(peers, `", "`), urls)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(f.dir, name+".log"))
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	f.edges = append(f.edges, &edge{&process{name: name, args: []string{f.program, "serve", "--config", file}, log: log, ready: ready}, "http://" + public, "http://" + admin})
	return nil
}

// init makes the log, once the servers have a leader.
func (f *fleet) init(ctx context.Context) error {
	for late := time.Now().Add(time.Minute); ; {
		out, err := exec.CommandContext(ctx, f.program, "fleet", "init", "--config", filepath.Join(f.dir, "edge-0.yaml")).CombinedOutput()
		if err == nil {
			return nil
		}
		if time.Now().After(late) || ctx.Err() != nil {
			return fmt.Errorf("edge fleet init: %w: %s", err, out)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// stop ends all parts.
func (f *fleet) stop() {
	for _, e := range f.edges {
		e.kill()
		e.log.Close()
	}
	for _, s := range f.servers {
		s.kill()
		s.log.Close()
	}
}
