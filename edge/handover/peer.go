package handover

import (
	"encoding/json"
	"net"
	"sync"
	"time"
)

// peer is the conversation of both processes while the old one drains: each tells the other of
// changes that its requests make.
type peer struct {
	conn  *net.UnixConn
	apply func(json.RawMessage) error

	telling sync.Mutex   // held over one change and its answer
	answers chan message // to it
	gone    chan struct{}
}

func newPeer(c *net.UnixConn, apply func(json.RawMessage) error) *peer {
	return &peer{conn: c, apply: apply, answers: make(chan message, 1), gone: make(chan struct{})}
}

// listen answers until the other process ends, or the connection is closed.
func (p *peer) listen() {
	defer close(p.gone)
	for {
		m, sockets, err := read(p.conn, time.Time{})
		closeAll(sockets)
		if err != nil {
			return
		}
		if m.Op != opTell {
			select {
			case p.answers <- m:
			default: // nobody waits any more
			}
			continue
		}
		answer := message{Op: opOK}
		if err := p.apply(m.Data); err != nil {
			answer.Err = err.Error()
		}
		if send(p.conn, answer) != nil {
			return
		}
	}
}

// tell tells of a change, and returns when it is in force there.
func (p *peer) tell(change any) error {
	data, err := json.Marshal(change)
	if err != nil {
		return err
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	select {
	case <-p.answers: // one that came too late
	default:
	}
	if err := send(p.conn, message{Op: opTell, Data: data}); err != nil {
		return ErrGone
	}
	late := time.NewTimer(answerLimit)
	defer late.Stop()
	select {
	case m := <-p.answers:
		if m.Err != "" {
			return &Refused{m.Err}
		}
		return nil
	case <-p.gone:
		return ErrGone
	case <-late.C:
		return errLate
	}
}
