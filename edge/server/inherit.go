package server

import (
	"net"
	"slices"
)

// Socket is a listening socket that another process has opened.
type Socket struct {
	net.Listener
	Key string // of the configuration, "" where it is not known
	// Sure is for a socket that is meant for its key wherever it listens. Others are for
	// the address of the configuration.
	Sure bool
}

// Inherit has Open look among sockets first.
func (s *Server) Inherit(all []Socket) { s.inherited = append(s.inherited, all...) }

// Orphans closes the sockets that Open had no use for, and returns their addresses.
func (s *Server) Orphans() (addrs []string) {
	for _, l := range s.inherited {
		addrs = append(addrs, l.Addr().String())
		l.Close()
	}
	s.inherited = nil
	return addrs
}

// Sockets are the listeners by their keys.
func (s *Server) Sockets() []Socket {
	all := make([]Socket, len(s.listeners))
	for i, l := range s.listeners {
		all[i] = Socket{Listener: l.Listener, Key: l.key}
	}
	return all
}

// inherit takes the socket for a key of the configuration, nil where there is none.
func (s *Server) inherit(key, addr string) net.Listener {
	for _, fits := range []func(Socket) bool{
		func(o Socket) bool { return o.Key == key && (o.Sure || sameAddress(o.Addr(), addr)) },
		func(o Socket) bool { return !o.Sure && sameAddress(o.Addr(), addr) },
	} {
		if i := slices.IndexFunc(s.inherited, fits); i >= 0 {
			l := s.inherited[i].Listener
			s.inherited = slices.Delete(s.inherited, i, i+1)
			return l
		}
	}
	return nil
}

// sameAddress reports whether a socket listens where a configuration says. Port 0 is any.
func sameAddress(have net.Addr, want string) bool {
	a, ok := have.(*net.TCPAddr)
	b, err := net.ResolveTCPAddr("tcp", want)
	if !ok || err != nil || b.Port != 0 && a.Port != b.Port {
		return false
	}
	everywhere := func(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
	return a.IP.Equal(b.IP) || everywhere(a.IP) && everywhere(b.IP)
}
