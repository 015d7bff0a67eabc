package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// once asks for distinct paths, each of them one time, over some connections, and prints how many
// were answered. "{n}" in the path is the number of the request.
func once(flags *flag.FlagSet, args []string) error {
	addr := flags.String("addr", "", "host:port, on loopback")
	path := flags.String("path", "", "path with {n}")
	from := flags.Int("from", 0, "the first number")
	count := flags.Int("n", 1000, "requests")
	conns := flags.Int("c", 16, "connections")
	fields := flags.String("fields", "", "request fields, with \\n between them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	head := ""
	if *fields != "" {
		head = strings.ReplaceAll(*fields, "\\n", "\r\n") + "\r\n"
	}
	var next, answered atomic.Int64
	var mu sync.Mutex
	var faults []error
	var group sync.WaitGroup
	for range *conns {
		group.Go(func() {
			err := func() error {
				c, err := dial(*addr, false)
				if err != nil {
					return err
				}
				defer c.Close()
				for {
					n := int(next.Add(1)) - 1
					if n >= *count {
						return nil
					}
					if _, err := c.get(strings.ReplaceAll(*path, "{n}", fmt.Sprint(*from+n)), head); err != nil {
						return err
					}
					answered.Add(1)
				}
			}()
			if err != nil {
				mu.Lock()
				faults = append(faults, err)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	fmt.Println(answered.Load())
	return errors.Join(faults...)
}
