package origin

import (
	"context"
	"io"
	"math"
	"net/http"
	"pkgedge/origin/kind"
	"pkgedge/origin/transport"
	"strconv"
	"time"
)

// round is one fetch, and the masters that are asked for it.
type round struct {
	*pool
	a       Ask
	order   []*master
	usable  int             // the first of order, which are expected to answer
	ctx     context.Context // of every request of the round
	cancel  context.CancelCauseFunc
	replies chan *reply
	asked   int // of order
	pending int // without a reply so far
}

func newRound(ctx context.Context, p *pool, a Ask, order []*master, usable int) *round {
	r := &round{pool: p, a: a, order: order, usable: usable, replies: make(chan *reply, len(order))}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

// over: every master has been asked, and has replied.
func (r *round) over() bool { return r.asked == len(r.order) && r.pending == 0 }

// ask asks the next master.
func (r *round) ask() {
	m, hedge := r.order[r.asked], r.pending > 0
	r.asked++
	r.pending++
	r.asking.Go(func() { r.replies <- r.send(r.ctx, m, r.a, hedge) })
}

// end abandons the requests that have not been replied to.
func (r *round) end() {
	r.cancel(errOutrun)
	for range r.pending {
		r.asking.Go(func() { (<-r.replies).close() })
	}
}

// enoughWaits is how many first bytes must have been waited for before their p95
// means something.
const enoughWaits = 128

// leastHedge is the shortest wait before another master is asked, and
// leastFileHedge that for a file. Below it a master that is merely busy would be
// asked everything twice, and one request to a master for each document is worth
// more than a fraction of a second.
const (
	leastHedge     = 250 * time.Millisecond
	leastFileHedge = time.Second
)

// never is a wait that does not end.
const never = time.Duration(math.MaxInt64)

// hedgeAfter is how long the first of the usable masters has the field to
// itself: until the answer takes longer than 95 of 100 do for metadata, and 99
// of 100 for files. As long as too little is known of metadata for that, it is
// half the time after which the master would be given up. What a client of a
// plain origin asks is that client's own, and is asked once; and of what was
// just written a replica might be sooner, and have less to tell.
func (p *pool) hedgeAfter(a *Ask, usable int, way stance) time.Duration {
	if a.Route.Transparent || usable < 2 || way == first {
		return never
	}
	if classOf(a.Route) == forFiles {
		return max(p.waits[forFiles].percentile(99, 1), leastFileHedge)
	}
	wait := p.waits[forMetadata].percentile(95, enoughWaits)
	if wait == 0 {
		wait = p.timeouts.FirstByte / 2
	}
	return max(wait, leastHedge)
}

// hedge asks another master, if one is expected to answer and the budget allows.
func (r *round) hedge() {
	if r.asked < r.usable && r.hedges.spend(time.Now(), 0) {
		r.hedged.Add(1)
		r.ask()
	}
}

// reply is a master's response up to its fields, or why there is none.
type reply struct {
	*master
	pool   *pool
	a      *Ask
	ctx    context.Context
	cancel context.CancelCauseFunc
	resp   *http.Response
	slow   bool
	size   int64 // bytes of the body so far
	err    error
	fatal  bool // no master can be asked this
	class  class
	inside bool // has a place at the master
}

// send asks one master, and waits for the fields of its response.
func (p *pool) send(ctx context.Context, m *master, a Ask, hedge bool) *reply {
	r := &reply{master: m, pool: p, a: &a, class: classOf(a.Route)}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if r.err = p.enterRoom(ctx, m, r.class, a.Stale || hedge); r.err != nil {
		p.observe(m.name, "busy")
		return r
	}
	r.inside = true
	req, err := p.request(r.ctx, m, a)
	if err != nil {
		r.err, r.fatal = err, true
		return r
	}
	do := m.client.Do
	if a.Route.Transparent {
		do = p.transport.RoundTrip // redirects are the client's to follow
	}
	begun := time.Now()
	late := p.transport.AfterLongest(r.cancel) // redirects add up
	r.resp, r.err = do(req)
	if !late.Stop() && r.err != nil && context.Cause(r.ctx) == transport.ErrLate {
		r.err = transport.ErrLate
	}
	took := time.Since(begun)
	switch {
	case r.err == nil:
		if !transport.Failure(r.resp.StatusCode) {
			m.rooms[r.class].answered(p.roomAt(m, r.class))
		}
		r.slow = p.timed(m, r.class, took)
		if a.Route.Transparent {
			transport.Localize(r.resp.Header, req.URL, m.base, p.publicBase)
		} else {
			for _, word := range transport.Sanitize(r.resp, a.Route.Class == kind.File, time.Now()) {
				p.observe(m.name, word)
			}
		}
		r.resp.Body = &countedBody{p.transport.IdleBody(r.resp.Body, r.cancel), &r.size}
	case context.Cause(ctx) == errOutrun && !hedge:
		m.latency.add(time.Now(), took)
		p.observe(m.name, "outrun")
		p.failed(m, slowFault)
	case ctx.Err() != nil: // it is we who did not wait
		p.observe(m.name, "abandoned")
	default:
		m.latency.add(time.Now(), took)
		p.observe(m.name, reason(r.err))
		p.failed(m, silence(r.err))
	}
	return r
}

// timed notes how long a first byte took, and says whether that was too long: a
// second and more, and many times what another master takes.
func (p *pool) timed(m *master, c class, took time.Duration) (slow bool) {
	const much, times = time.Second, 8
	now := time.Now()
	p.waits[c].add(now, took)
	if took >= much {
		for _, o := range p.masters {
			if usual := o.latency.average(now); o != m && usual > 0 && took >= times*usual {
				slow = true
			}
		}
	}
	m.latency.add(now, took)
	return slow
}

// judge looks at the status, lets use look at the rest, and notes what the
// master was worth. last says that no other will be asked, and alone that no
// other has said that there is no such thing.
func (r *reply) judge(last, alone bool, use func(context.Context, *master, *http.Response) (try, error)) (try, error) {
	defer r.close()
	if r.err != nil {
		if r.fatal {
			return accepted, r.err
		}
		return next, r.err
	}
	verdict, err := accepted, error(nil)
	switch status := r.resp.StatusCode; {
	case transport.Failure(status) && !(last && r.a.Route.Transparent):
		verdict, err = next, &transport.StatusError{Status: status, RetryAfter: transport.RetryAfter(r.resp.Header)}
	case transport.Absence(status) && !r.primary && alone:
		verdict, err = absent, &transport.StatusError{Status: status}
	default:
		verdict, err = use(r.ctx, r.master, r.resp)
	}
	result := strconv.Itoa(r.resp.StatusCode)
	if err != nil {
		if cause := context.Cause(r.ctx); cause == transport.ErrIdle || cause == transport.ErrLate {
			err = cause
		}
		result = reason(err)
	}
	r.pool.observe(r.name, result)
	switch f, guilty := misdeed(err); {
	case guilty:
		r.pool.failed(r.master, f)
	case r.slow:
		r.pool.failed(r.master, slowFault)
	case err == nil || verdict == absent:
		r.pool.answered(r.master)
		if r.resp.StatusCode == http.StatusOK && verdict == accepted {
			r.pool.learn(r.master, r.a, r.size)
		}
	}
	return verdict, err
}

// close gives back what the reply holds.
func (r *reply) close() {
	if r.resp != nil {
		transport.Drain(r.resp.Body, r.cancel)
	}
	r.cancel(nil)
	if r.inside {
		r.pool.leaveRoom(r.master, r.class)
	}
}

// countedBody counts the bytes that are read.
type countedBody struct {
	io.ReadCloser
	n *int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.n += int64(n)
	return n, err
}

// enterRoom takes a place for a request of a class at a master. What has a
// stale answer, or another master at work, does not wait for one: what is shed
// first costs nobody an answer.
func (p *pool) enterRoom(ctx context.Context, m *master, c class, impatient bool) error {
	patience := p.timeouts.FirstByte
	if impatient {
		patience = 0
	}
	return m.rooms[c].enter(ctx, p.roomAt(m, c), patience)
}

func (p *pool) leaveRoom(m *master, c class) {
	m.rooms[c].leave(p.roomAt(m, c))
}

// roomAt is how many requests of a class a master may have now.
func (p *pool) roomAt(m *master, c class) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(leastRoom, int(float64(room[c])*m.share(time.Now())))
}
