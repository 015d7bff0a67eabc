package main

import (
	"pkgedge/edge/edgetest"

	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pkgedge/edge/command"
)

// lines are what a program has written, and news of it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(p)
	select {
	case l.news <- struct{}{}:
	default:
	}
	return n, err
}

// wait waits until text has been written.
func (l *lines) wait(t *testing.T, text string) {
	t.Helper()
	for {
		l.mu.Lock()
		all := l.text.String()
		l.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-l.news:
		case <-t.Context().Done():
			t.Fatalf("%q was never written:\n%s", text, all)
		}
	}
}

// A SIGHUP is a reload: of what is wrong nothing but lines in the log, and of what
// is right the new configuration. It never ends the program.
func TestHangupReloads(t *testing.T) {
	noLeaks(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	head := "listen: 127.0.0.1:0\nadmin: { listen: '' }\ncache: { dir: " + t.TempDir() + " }\n"
	edgetest.WriteFile(t, file, head)
	out, errs := &lines{news: make(chan struct{}, 1)}, &lines{news: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int)
	go func() { code <- command.Run(ctx, []string{"--config", file}, serve, out, errs, edgetest.NoEnv) }()
	out.wait(t, "edge serves")
	hangup := func(text string) {
		t.Helper()
		edgetest.WriteFile(t, file, head+text)
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup("limits: { rate: x }\nfoo: 1\n")
	errs.wait(t, file+":4: limits.rate: ")
	errs.wait(t, file+":5: foo: unknown key")
	hangup("limits: { rate: 5 }\n")
	errs.wait(t, `"msg":"reloaded","config":"`+file+`","changed":"limits.rate, limits.burst"`)
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d:\n%s", got, errs.text.String())
	}
}
