package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

// idle opens connections, has one answer on each, prints how many there are, and keeps them until
// its input ends.
func idle(flags *flag.FlagSet, args []string) error {
	addr := flags.String("addr", "", "host:port, on loopback")
	path := flags.String("path", "/", "path")
	secure := flags.Bool("tls", false, "TLS 1.3")
	count := flags.Int("n", 10000, "connections")
	if err := flags.Parse(args); err != nil {
		return err
	}
	conns := make([]*conn, 0, *count)
	for range *count {
		c, err := dial(*addr, *secure)
		if err != nil {
			return err
		}
		if _, err := c.get(*path, ""); err != nil {
			return err
		}
		conns = append(conns, c)
	}
	fmt.Println(len(conns))
	_, err := io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.Close()
	}
	return err
}
