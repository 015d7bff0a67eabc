package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is a part of the fleet that can be killed.
type process struct {
	name  string
	args  []string
	log   *os.File
	ready func(ctx context.Context) bool

	mu    sync.Mutex
	cmd   *exec.Cmd     // nil while it is dead
	ended chan struct{} // of cmd
	since time.Time     // of the last start that was ready, or of the last death
}

// start runs it, and waits until it is ready.
func (p *process) start(ctx context.Context) error {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !p.ready(limited) {
		select {
		case <-ended:
			return fmt.Errorf("%s has ended by itself, see its log with -keep", p.name)
		case <-limited.Done():
			_ = cmd.Process.Kill()
			<-ended
			return fmt.Errorf("%s is not ready", p.name)
		case <-time.After(20 * time.Millisecond):
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.ended, p.since = cmd, ended, time.Now()
	return nil
}

// kill ends it without a word.
func (p *process) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.cmd, p.since = nil, time.Now()
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
}

// signal sends it a signal.
func (p *process) signal(s os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(s) // it runs
}

// ran says whether it has run since a time, without a death.
func (p *process) ran(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && p.since.Before(since)
}

// alive says whether it runs.
func (p *process) alive() bool { return p.ran(time.Now()) }

// crashed says whether it has ended, and nobody has killed it.
func (p *process) crashed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
