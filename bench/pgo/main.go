// Pgo is the edge with a CPU profile of itself, which it writes to the file $PGO_PROFILE when
// it ends. bench/pgo.sh makes edge/default.pgo with it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"pkgedge/edge/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	code, err := profiled(os.Getenv("PGO_PROFILE"), func() int {
		return command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.LookupEnv)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot write a profile:", err)
		code = 1
	}
	os.Exit(code)
}

func profiled(path string, run func() int) (code int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return 0, err
	}
	code = run()
	pprof.StopCPUProfile()
	return code, f.Close()
}
