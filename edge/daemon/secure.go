package daemon

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/framing"
	"pkgedge/edge/proxy"
)

// secureOf says how clients are led to the encrypted listener.
func secureOf(cfg *config.Config) (s proxy.Secure) {
	if cfg.TLS.Listen == "" {
		return s
	}
	s.Redirect = cfg.Redirects()
	if cfg.PublicURL.Scheme == "https" {
		s.Public = cfg.PublicURL
		s.Hosts = append(s.Hosts, strings.ToLower(cfg.PublicURL.Hostname()))
	}
	s.Hosts = append(s.Hosts, cfg.TLS.Domains...)
	for i := range cfg.Sites {
		s.Hosts = append(s.Hosts, cfg.Sites[i].Hosts...)
	}
	slices.Sort(s.Hosts)
	s.Hosts = slices.Compact(s.Hosts)
	_, s.Port, _ = net.SplitHostPort(cfg.TLS.Listen)
	if cfg.TLS.HSTS > 0 {
		s.HSTS = "max-age=" + strconv.FormatInt(int64(cfg.TLS.HSTS/time.Second), 10)
	}
	return s
}

// plainLane is the lane of the plain listener. It stands back where the slow path would
// redirect, or where answers over TLS have a field that plain ones must not have.
type plainLane struct{ *Daemon }

// Answer implements framing.Lane.
func (l plainLane) Answer(c *framing.Conn, h *framing.Head) (answered bool, err error) {
	if s := &l.serving().Secure; s.Redirect || s.HSTS != "" {
		return false, nil
	}
	return l.lane.Answer(c, h)
}
