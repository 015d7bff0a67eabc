package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"pkgedge/edge/command"
	"pkgedge/edge/edgetest"
)

// serveIn runs the command line in an empty directory.
func serveIn(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	return serveHere(ctx, args...)
}

func serveHere(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = command.Run(ctx, args, serve, &out, &errs, edgetest.NoEnv)
	return code, out.String(), errs.String()
}

func TestServeRunsUntilItIsTold(t *testing.T) {
	t.Chdir(t.TempDir())
	edgetest.WriteFile(t, "config.yaml", "admin: { listen: '' }\ntls: { listen: '' }\n")
	told, tell := context.WithCancel(t.Context())
	tell()
	if code, _, stderr := serveHere(told, "--listen", "127.0.0.1:0"); code != 0 {
		t.Errorf("exit code %d after a clean drain: %s", code, stderr)
	}
}

func TestAddressInUseExitsWithAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	code, _, stderr := serveIn(t, t.Context(), "--listen", addr)
	if want := "edge: listen: " + addr + " is in use by another process"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %q; want %d, %q", code, stderr, 1, want)
	}
}
