package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"pkgedge/bench/loopback"
)

// edge is the program under test.
type edge struct {
	program, dir string
	public       string // its URL
	admin        string
	world        *world
	log          *os.File

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan error // of cmd
	downs []span     // when it was not there, by our own doing
	err   error      // it ended by itself, or did not come back
	peak  string     // its largest resident memory
}

type span struct{ from, to time.Time }

func startEdge(ctx context.Context, dir, program string, w *world) (*edge, error) {
	if program == "" {
		program = filepath.Join(dir, "edge")
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "pkgedge/edge")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("cannot build the edge: %w", err)
		}
	}
	e := &edge{program: program, dir: dir, world: w}
	ports, err := loopback.Free(2)
	if err != nil {
		return nil, err
	}
	e.public, e.admin = "http://"+ports[0], "http://"+ports[1]
	if e.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if err := e.configure(5 * time.Second); err != nil {
		return nil, err
	}
	return e, e.start(ctx)
}

// configure writes the configuration, with a lifetime for metadata.
func (e *edge) configure(fresh time.Duration) error {
	list := func(all []*master) string {
		var out strings.Builder
		for i, m := range all {
			role := "replica"
			if i == 0 {
				role = "primary"
			}
			fmt.Fprintf(&out, "      - { url: %q, role: %s }\n", m.server.URL(), role)
		}
		return out.String()
	}
	const shared = "    probe: { every: 2s, timeout: 1s }\n    timeouts: { connect: 1s, first_byte: 2s, idle: 4s }\n"
	text := fmt.Sprintf("listen: %s\npublic_url: %s\nadmin: { listen: %q }\n", host(e.public), e.public, host(e.admin)) +
		fmt.Sprintf("cache: { memory: 64MiB, disk: 1GiB, dir: %q }\nlog: { access: 'off' }\nsites:\n", filepath.Join(e.dir, "cache")) +
		fmt.Sprintf("  - name: npm\n    kind: npm\n    path: /\n    fresh: { metadata: %s, override: true }\n", fresh) +
		shared + "    masters:\n" + list(e.world.npm) +
		fmt.Sprintf("  - name: tree\n    kind: files\n    path: /tree\n    fresh: { metadata: %s, files: %[1]s }\n", fresh) +
		shared + "    masters:\n" + list(e.world.files)
	return os.WriteFile(filepath.Join(e.dir, "config.yaml"), []byte(text), 0o600)
}

func host(url string) string { return strings.TrimPrefix(url, "http://") }

// start runs the edge, and waits until it is ready.
func (e *edge) start(ctx context.Context) error {
	cmd := exec.Command(e.program, "serve", "--config", filepath.Join(e.dir, "config.yaml"))
	cmd.Stdout, cmd.Stderr = e.log, e.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the edge: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	e.mu.Lock()
	e.cmd, e.ended = cmd, ended
	e.mu.Unlock()
	for late := time.Now().Add(30 * time.Second); ; {
		if resp, err := http.Get(e.admin + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the edge ended at its start: %v, see its log with -keep", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(late) {
			return errors.New("the edge is not ready after 30 s")
		}
	}
}

// shake reloads, purges and kills the edge until ctx ends.
func (e *edge) shake(ctx context.Context, random *rand.Rand, r *report) {
	reload, purge, kill := time.NewTicker(7*time.Second), time.NewTicker(11*time.Second), time.NewTicker(45*time.Second)
	defer reload.Stop()
	defer purge.Stop()
	defer kill.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case err = <-e.ended:
			err = fmt.Errorf("the edge ended by itself: %v", err)
		case <-reload.C:
			r.trouble("edge reloaded")
			if err = e.configure(time.Duration(2+random.IntN(8)) * time.Second); err == nil {
				err = e.cmd.Process.Signal(syscall.SIGHUP)
			}
		case <-purge.C:
			r.trouble("edge purged")
			e.purge(random)
		case <-kill.C:
			r.trouble("edge killed")
			err = e.kill(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.mu.Lock()
			e.err = err
			e.mu.Unlock()
			return
		}
	}
}

// purge purges everything of a site, or one package.
func (e *edge) purge(random *rand.Rand) {
	body := []string{`{"site":"npm"}`, `{"site":"tree"}`, fmt.Sprintf(`{"package":%q}`, e.world.packages[random.IntN(len(e.world.packages))])}[random.IntN(3)]
	resp, err := http.Post(e.admin+"/purge", "application/json", bytes.NewReader([]byte(body)))
	if err == nil {
		resp.Body.Close()
	}
}

// kill kills the edge without a word, and starts it again.
func (e *edge) kill(ctx context.Context) error {
	e.mu.Lock()
	e.downs = append(e.downs, span{from: time.Now()})
	e.mu.Unlock()
	e.remember()
	e.cmd.Process.Kill()
	<-e.ended
	err := e.start(ctx)
	e.mu.Lock()
	e.downs[len(e.downs)-1].to = time.Now()
	e.mu.Unlock()
	return err
}

// killed says whether the edge was dead, by our doing, at some moment from begun to now.
func (e *edge) killed(begun time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.downs) == 0 {
		return false
	}
	last := e.downs[len(e.downs)-1]
	return last.to.IsZero() || last.to.After(begun)
}

// remember keeps the peak of the resident memory, as the system counts it.
func (e *edge) remember() {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid)) // elsewhere than on Linux there is none
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			e.peak = max(e.peak, fmt.Sprintf("%12s", strings.TrimSpace(value)))
		}
	}
}

func (e *edge) broken() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *edge) stop() {
	e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.ended:
	case <-time.After(5 * time.Second):
		e.cmd.Process.Kill()
	}
	e.log.Close()
}
