package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// limit is the longest time that a command runs with any flags.
const limit = 10 * time.Minute

func main() {
	if len(os.Args) < 2 {
		fail("want a command: once, rate, idle or registry")
	}
	time.AfterFunc(limit, func() { fail("%s took longer than %v", os.Args[1], limit) })
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var err error
	switch os.Args[1] {
	case "once":
		err = once(flags, os.Args[2:])
	case "rate":
		err = rate(flags, os.Args[2:])
	case "idle":
		err = idle(flags, os.Args[2:])
	case "registry":
		err = registry(flags, os.Args[2:])
	default:
		err = fmt.Errorf("no command %q", os.Args[1])
	}
	if err != nil {
		fail("%s: %v", os.Args[1], err)
	}
}

func fail(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", a...)
	os.Exit(1)
}
