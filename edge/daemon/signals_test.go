package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/kinds"
)

// lines are the lines that a program has written, and a notice of each.
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
	for end := time.After(edgetest.Patience); ; {
		l.mu.Lock()
		all := l.text.String()
		l.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-l.news:
		case <-end:
			t.Fatalf("%q was never written:\n%s", text, all)
		}
	}
}

// A SIGHUP is a reload. A wrong configuration leads to lines in the log, and to
// nothing else. It never ends the program.
func TestHangupReloads(t *testing.T) {
	edgetest.NoLeaks(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	head := "listen: 127.0.0.1:0\nadmin: { listen: '' }\ncache: { dir: " + t.TempDir() + " }\n"
	edgetest.WriteFile(t, file, head)
	out, errs := &lines{news: make(chan struct{}, 1)}, &lines{news: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	source := config.Source{Path: file, Kinds: kinds.All(), Env: edgetest.NoEnv}
	cfg, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		ended <- Run(ctx, Options{Config: cfg, Source: source, Out: out, Greet: true, Log: slog.New(slog.NewJSONHandler(errs, nil)), Level: new(slog.LevelVar)})
	}()
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
	if err := edgetest.Receive(t, ended, "the end of the drain"); err != nil {
		t.Errorf("%v:\n%s", err, errs.text.String())
	}
}
