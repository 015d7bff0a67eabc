//go:build !linux

package framing

import "net"

// socket is for Linux: elsewhere the connection is read and written as any other.
type socket struct{ net.Conn }

func newSocket(net.Conn) *socket { return nil }

// Send is not called.
func (s *socket) Send(head []byte, _ Body, _ *Conn) (int64, error) {
	n, err := s.Write(head)
	return int64(n), err
}

func (b *Body) readFile(p []byte, at int64) (int, error) { return b.File.ReadAt(p, at) }
