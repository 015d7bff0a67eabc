package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"pkgedge/edge/report"
)

func main() {
	length := flag.Duration("for", time.Minute, "how long, at most an hour")
	clients := flag.Int("clients", 12, "clients at once, at most 256")
	program := flag.String("edge", "", "the program under test; built when empty")
	keep := flag.Bool("keep", false, "keep the directory with the logs")
	serve := flag.String("serve-nats", "", "for the command's own child processes")
	flag.Parse()
	var err error
	if parts := strings.Split(*serve, " "); len(parts) == 5 {
		err = serveNATS(parts[0], parts[1], parts[2], parts[3], parts[4])
	} else if *length > time.Hour || *clients < 1 || *clients > 256 {
		err = errors.New("at most an hour, and 1 to 256 clients")
	} else {
		err = run(*length, *clients, *program, *keep)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fleetchaos: %v\n", err)
		os.Exit(1)
	}
}

func run(length time.Duration, clients int, program string, keep bool) error {
	dir, err := os.MkdirTemp("", "fleetchaos-")
	if err != nil {
		return err
	}
	if keep {
		fmt.Println("directory", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	w, err := newWorld()
	if err != nil {
		return err
	}
	defer w.close()
	whole, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f, err := newFleet(whole, dir, program, w)
	if f != nil {
		defer f.stop()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(whole, length)
	defer cancel()
	var all sync.WaitGroup
	failed := make(chan error, 8)
	work := func(part func(context.Context) error) {
		all.Go(func() {
			if err := part(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	for range clients {
		all.Go(func() { f.client(ctx) })
	}
	work(f.publisher)
	work(f.killEdges)
	work(f.killServers)
	work(f.refuse)
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	if err := f.atTheEnd(whole); err != nil {
		w.complain("at the end: %v", err)
	}
	return w.print(length)
}

// rest waits for a while, and says whether ctx is not done.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// killEdges kills one edge after the other, so that two of three run.
func (f *fleet) killEdges(ctx context.Context) error {
	for rest(ctx, time.Second+rand.N(8*time.Second)) {
		e := f.edges[rand.IntN(size)]
		e.kill()
		f.world.trouble("edges killed")
		rest(ctx, rand.N(4*time.Second))
		if err := e.start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return f.crashed()
}

// crashed is an edge that has ended by itself.
func (f *fleet) crashed() error {
	for _, e := range f.edges {
		if e.crashed() {
			return fmt.Errorf("%s has ended by itself", e.name)
		}
	}
	return nil
}

// killServers kills NATS servers, two of three at times, or stops them, so that their connections stay open.
func (f *fleet) killServers(ctx context.Context) error {
	for rest(ctx, time.Second+rand.N(10*time.Second)) {
		all := rand.Perm(size)[:1+rand.IntN(2)]
		if rand.IntN(3) == 0 {
			for _, i := range all {
				f.servers[i].signal(syscall.SIGSTOP)
			}
			f.world.trouble([]string{"", "NATS servers stopped", "quorums stopped"}[len(all)])
			rest(ctx, rand.N(12*time.Second))
			for _, i := range all {
				f.servers[i].signal(syscall.SIGCONT)
			}
			continue
		}
		for _, i := range all {
			f.servers[i].kill()
		}
		f.world.trouble([]string{"", "NATS servers killed", "quorums killed"}[len(all)])
		rest(ctx, rand.N(8*time.Second))
		for _, i := range all {
			if err := f.servers[i].start(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse has one master at a time refuse connections.
func (f *fleet) refuse(ctx context.Context) error {
	for rest(ctx, 4*time.Second+rand.N(6*time.Second)) { // the other one is known to be well by then
		m := f.world.masters[rand.IntN(len(f.world.masters))]
		m.Refuse()
		f.world.trouble("masters gone")
		rest(ctx, rand.N(6*time.Second))
		if err := m.Resume(); err != nil {
			return err
		}
	}
	return nil
}

// atTheEnd waits until each edge has read the log, and looks whether all purges are in force.
func (f *fleet) atTheEnd(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for _, e := range f.edges {
		for {
			text, err := fetch(limited, e.admin+"/status")
			if err == nil {
				s, err := report.Parse(text)
				if err == nil && s.Fleet != nil && s.Fleet.Log.Live && s.Fleet.Log.Outbox == 0 {
					break
				}
			}
			if !rest(limited, 50*time.Millisecond) {
				return fmt.Errorf("%s does not read the log, or has purges left: %.2000s", e.name, text)
			}
		}
	}
	if !rest(ctx, 2*time.Second) { // purges that were the last to leave an outbox
		return context.Cause(ctx)
	}
	for _, e := range f.edges {
		for _, name := range f.world.names {
			if is, err := f.version(e, "at the end", name); err != nil || is < f.world.least(name) {
				f.world.complain("%s at the end: %s has %d versions, want %d; %v", e.name, name, is, f.world.least(name), err)
			}
		}
	}
	return f.crashed()
}

// print prints the table. It is an error where something was wrong.
func (w *world) print(length time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(w.count)) {
		fmt.Printf("%8d requests: %s, the longest %v\n", w.count[kind], kind, w.longest[kind].Round(time.Millisecond))
	}
	for _, name := range slices.Sorted(maps.Keys(w.troubles)) {
		fmt.Printf("%8d %s\n", w.troubles[name], name)
	}
	for _, text := range w.wrong {
		fmt.Println(text)
	}
	if n := w.troubles["WRONG"]; n > 0 {
		return fmt.Errorf("%d times something was wrong in %v", n, length)
	}
	return nil
}
