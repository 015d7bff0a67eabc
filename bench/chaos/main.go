package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"time"
)

// settings are the flags.
type settings struct {
	length  time.Duration
	clients int
	seed    uint64
	program string
	keep    bool
	calm    bool
}

func main() {
	var s settings
	flag.DurationVar(&s.length, "for", time.Minute, "how long, at most an hour")
	flag.IntVar(&s.clients, "clients", 24, "clients at once, at most 256")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "of the random choices")
	flag.StringVar(&s.program, "edge", "", "the program under test; built when empty")
	flag.BoolVar(&s.keep, "keep", false, "keep the directory with the edge's log")
	flag.BoolVar(&s.calm, "calm", false, "leave the edge alone: no kill, no reload, no purge")
	flag.Parse()
	if s.length > time.Hour || s.clients < 1 || s.clients > 256 {
		fail(fmt.Errorf("at most an hour, and 1 to 256 clients"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	good, err := run(ctx, s)
	if err != nil {
		fail(err)
	}
	if !good {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
	os.Exit(1)
}

// run is one run, and says whether every client got the right answers.
func run(ctx context.Context, s settings) (good bool, err error) {
	dir, err := os.MkdirTemp("", "edge-chaos-")
	if err != nil {
		return false, err
	}
	if s.keep {
		fmt.Println("directory", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	random := rand.New(rand.NewPCG(s.seed, 0))
	w, err := newWorld(random)
	if err != nil {
		return false, err
	}
	defer w.close()
	e, err := startEdge(ctx, dir, s.program, w)
	if err != nil {
		return false, err
	}
	defer e.stop()
	fmt.Printf("seed %d, %d clients, %v\n", s.seed, s.clients, s.length)

	ctx, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	r := newReport()
	var all sync.WaitGroup
	all.Go(func() { w.trouble(ctx, rand.New(rand.NewPCG(s.seed, 1)), r) })
	if !s.calm {
		all.Go(func() { e.shake(ctx, rand.New(rand.NewPCG(s.seed, 2)), r) })
	}
	for i := range s.clients {
		all.Go(func() { newClient(e, w, r, rand.New(rand.NewPCG(s.seed, uint64(3+i)))).work(ctx) })
	}
	all.Wait()
	r.print(os.Stdout, e)
	if err := e.broken(); err != nil {
		return false, err
	}
	return r.good(), nil
}
