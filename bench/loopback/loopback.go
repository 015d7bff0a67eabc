// Package loopback finds addresses for the processes that the benchmarks start. It has no locks.
package loopback

import "net"

// Free are n addresses of loopback that nobody has at this moment.
func Free(n int) (all []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all, nil
}
