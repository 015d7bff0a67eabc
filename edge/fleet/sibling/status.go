package sibling

import "pkgedge/edge/fleet/figures"

// Status describes the siblings as they are now.
func (c *Client) Status() figures.Siblings {
	f := &c.counts
	s := figures.Siblings{
		Asked: f.asked.Load(), Answered: f.answered.Load(), Refused: f.refused.Load(), Failed: f.failed.Load(), Unusable: f.unusable.Load(), Bytes: f.bytes.Load(),
		Served: f.served.Load(), Declined: f.declined.Load(), Strangers: f.strangers.Load(), ServedBytes: f.servedBytes.Load(),
	}
	usable := 0.0
	for _, m := range c.cfg.Members.Members() {
		s.Members = append(s.Members, figures.Member{Address: m, State: c.peers.state(m)})
		if s.Members[len(s.Members)-1].State != "out" {
			usable++
		}
	}
	for i := range s.Members {
		if m := &s.Members[i]; m.State != "out" {
			m.Share = 1 / usable
		}
	}
	return s
}
