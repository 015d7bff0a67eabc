//go:build !linux

package framing

import "net"

// socket is for Linux: elsewhere the connection is read and written as any other.
type socket struct{ net.Conn }

func newSocket(net.Conn) *socket { return nil }

// Send is not called.
func (s *socket) Send(head, _ []byte) (int, error) { return s.Write(head) }
