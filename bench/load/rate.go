package main

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"time"
)

// rate asks for one path at an equal rate, spread over the connections, and prints the requests
// per second that were answered and their latencies (p50, p99, p99.9, in microseconds). A latency
// counts from the moment at which its request was due, so a server that falls behind pays for
// every request that it delays.
func rate(flags *flag.FlagSet, args []string) error {
	addr := flags.String("addr", "", "host:port, on loopback")
	path := flags.String("path", "/", "path")
	secure := flags.Bool("tls", false, "TLS 1.3")
	rps := flags.Int("rps", 2000, "requests per second, together")
	conns := flags.Int("c", 64, "connections")
	length := flags.Duration("for", 5*time.Second, "how long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	every := time.Second * time.Duration(*conns) / time.Duration(*rps)
	var mu sync.Mutex
	var all []time.Duration
	var fault error
	var group sync.WaitGroup
	start := time.Now().Add(200 * time.Millisecond) // by then all are connected
	for i := range *conns {
		group.Go(func() {
			took := make([]time.Duration, 0, int(*length/every)+1)
			err := func() error {
				c, err := dial(*addr, *secure)
				if err != nil {
					return err
				}
				defer c.Close()
				due := start.Add(every * time.Duration(i) / time.Duration(*conns))
				for ; due.Before(start.Add(*length)); due = due.Add(every) {
					time.Sleep(time.Until(due))
					if _, err := c.get(*path, ""); err != nil {
						return err
					}
					took = append(took, time.Since(due))
				}
				return nil
			}()
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				fault = err
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	if fault != nil || len(all) == 0 {
		return fmt.Errorf("%d answers: %w", len(all), fault)
	}
	slices.Sort(all)
	at := func(part float64) int64 { return all[int(part*float64(len(all)-1))].Microseconds() }
	fmt.Printf("%.0f %d %d %d\n", float64(len(all))/took.Seconds(), at(0.5), at(0.99), at(0.999))
	return nil
}
