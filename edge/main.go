package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"pkgedge/edge/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains. From then on signals act as they do by default:
	// the second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.LookupEnv))
}
