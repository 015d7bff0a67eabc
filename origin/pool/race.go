package pool

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pkgedge/origin/badcopies"
	"pkgedge/origin/health"
)

// Each asks masters until use accepts a response.
//
// A master is asked when the one before it has failed, and for metadata also
// when that takes unusually long. Use is called for one response at a time, and
// never again once it has accepted one. Each does not give up while a master that is
// expected to answer has not been asked.
//
// In an outage one request of a class at a time is sent to the masters all the same,
// to each in turn. The others fail at once.
//
// Nearer sources are asked before the masters.
func (p *Pool) Each(ctx context.Context, req Request, use Use) error {
	if len(p.cfg.Nearer) > 0 {
		if done, err := p.askNearer(ctx, &req, use); done {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if !p.Down() {
		return p.each(ctx, req, use)
	}
	leave, ok := p.Enter(health.ClassOf(req.Route))
	if !ok {
		return p.refusal()
	}
	err := p.each(ctx, req, use)
	leave(err == nil)
	return err
}

func (p *Pool) each(ctx context.Context, req Request, use Use) error {
	order, usable := p.order(&req)
	if len(order) == 0 {
		return p.refusal()
	}
	if p.badCopies.Some.Load() {
		badcopies.MoveLast(p.badCopies, order[:usable], req.Route.Key, time.Now())
	}
	pref := anyMaster
	if p.cfg.Writes.Some.Load() {
		pref = p.cfg.Writes.preference(&req, time.Now())
		pref.arrange(order[:usable])
	}
	p.retries.earn(time.Now())
	p.hedges.earn(time.Now())
	r := newRace(ctx, p, &req, order, usable)
	defer r.end()
	wait := p.hedgeAfter(&req, usable, pref)
	r.inTurn = wait == never
	r.askNext()
	var hedged <-chan time.Time
	var hedge *time.Timer
	rest := wait - leastHedge // of the wait for an answer, after that for a place
	if !r.inTurn {
		hedge = time.NewTimer(leastHedge)
		defer hedge.Stop()
		hedged = hedge.C
	}
	for {
		select {
		case <-hedged:
			// A master that hangs gives a place late, and its answer would be waited for as
			// long again. So a place is waited for only as long as a quick answer takes.
			if rest > 0 && r.sent.Load() {
				hedge.Reset(rest)
				rest = 0
				continue
			}
			if r.hedge(); r.asked < usable {
				hedge.Reset(wait)
			}
		case got := <-r.replies:
			r.pending--
			if got.blame != nil || r.blames.held != nil {
				r.hear(got)
			}
			verdict, err := got.judge(r.finished(), use)
			if r.blames.held != nil {
				r.judged(got, verdict, err)
			}
			if verdict == Accepted {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.goOn(got, verdict, err); err != nil {
				return err
			}
		}
	}
}

// goOn asks the next master after one has failed. The error is final.
func (r *race) goOn(failed *reply, verdict Verdict, err error) error {
	r.failure.add(failed.trial(err))
	busy := errors.Is(err, health.ErrBusy) // so that the next request is no second one
	switch outage := r.usable == 0; {
	case verdict == Absent:
		r.missing = true
		fallthrough
	case r.asked >= r.usable: // the rest is known to be out
		switch {
		case r.pending > 0:
			return nil
		case busy && !outage && r.Down():
			return r.refusal()
		case r.finished(), r.missing && r.asked >= r.usable && !outage: // a master that is out cannot confirm an absence
			return r.unavailable()
		case r.asked >= r.usable && !outage && !r.retries.spend(time.Now()):
			r.failure.Tried = append(r.failure.Tried, errBudget)
			return r.unavailable()
		}
	}
	if !busy && verdict != Absent {
		r.retried.Add(1)
	}
	r.askNext()
	return nil
}

// unavailable is the error when every master has failed.
func (r *race) unavailable() error {
	if r.usable == 0 {
		r.failure.Tried = append([]error{ErrOutage}, r.failure.Tried...)
	}
	return r.failure
}

// race is one fetch, and the masters that are asked for it. The first usable answer
// wins.
type race struct {
	*Pool
	req     *Request
	order   []*health.Master
	usable  int             // the first of order, which are expected to answer
	ctx     context.Context // of every request of the race
	cancel  context.CancelCauseFunc
	replies chan *reply
	inTurn  bool        // nothing has another master asked before one has replied
	asked   int         // of order
	pending int         // without a reply so far
	sent    atomic.Bool // one of them at least has a place at its master

	missing bool // one of them has no such thing
	blames  blames
	failure *Unavailable
}

func newRace(ctx context.Context, p *Pool, req *Request, order []*health.Master, usable int) *race {
	r := &race{Pool: p, req: req, order: order, usable: usable, replies: make(chan *reply, len(order)), failure: &Unavailable{}}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

// finished: every master has been asked, and has replied.
func (r *race) finished() bool { return r.asked == len(r.order) && r.pending == 0 }

// askNext asks the next master, and waits for a place there.
func (r *race) askNext() {
	longest := r.cfg.Timeouts.FirstByte
	if r.req.Stale {
		longest = 0 // refusing this request costs nobody an answer
	}
	m, later := r.order[r.asked], r.pending > 0
	r.ask(func() *reply {
		if err := r.Acquire(r.ctx, r.req.Client, m, health.ClassOf(r.req.Route), longest); err != nil {
			r.Observe(m, "busy")
			return &reply{Master: m, pool: r.Pool, err: err, cancel: func(error) {}}
		}
		r.sent.Store(true)
		return r.sendTo(m, later)
	})
}

// ask runs the request to the next master. In turn that is on the caller's goroutine, for
// replies has a place for each.
func (r *race) ask(send func() *reply) {
	r.asked++
	r.pending++
	reply := func() {
		got := send()
		got.race = r
		r.replies <- got
	}
	if r.inTurn {
		reply()
		return
	}
	go reply()
}

// end abandons the requests that have not been replied to.
func (r *race) end() {
	if r.blames.held != nil {
		r.blames.end(r.Pool)
	}
	r.cancel(errOutrun)
	for range r.pending {
		go func() { (<-r.replies).close() }()
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

// hedgeAfter is how long only the first of the usable masters is asked: until the answer takes longer than 95 of 100 do for metadata, and 99
// of 100 for files. As long as too little is known of metadata for that, it is
// half the time after which the master would be given up. A request to a
// transparent site is its client's own, and is sent once. After a write a replica
// might be sooner, and not have it yet.
func (p *Pool) hedgeAfter(req *Request, usable int, pref readPreference) time.Duration {
	if req.Route.Transparent || usable < 2 || pref == primaryAlone {
		return never
	}
	if health.ClassOf(req.Route) == health.ForFiles {
		return max(p.waits[health.ForFiles].Percentile(99, 1), leastFileHedge)
	}
	wait := p.waits[health.ForMetadata].Percentile(95, enoughWaits)
	if wait == 0 {
		wait = p.cfg.Timeouts.FirstByte / 2
	}
	return max(wait, leastHedge)
}

// hedge asks another master, if one is expected to answer. While no master has been sent
// the request, since all that were asked are full, it is the first try there. Otherwise
// it must have room now, and the budget must allow it; else it counts as not asked.
func (r *race) hedge() {
	if r.asked >= r.usable {
		return
	}
	if !r.sent.Load() {
		r.askNext()
		return
	}
	m, class := r.order[r.asked], health.ClassOf(r.req.Route)
	if r.Acquire(r.ctx, r.req.Client, m, class, 0) != nil {
		return
	}
	if !r.hedges.spend(time.Now()) {
		r.Release(m, class)
		return
	}
	r.hedged.Add(1)
	r.ask(func() *reply { return r.sendTo(m, true) })
}

// sendTo asks a master, at each place where it may have the file.
func (r *race) sendTo(m *health.Master, later bool) *reply {
	if r.req.At == "" && r.req.Find == nil { // there is one
		return r.send(r.ctx, m, r.req, later)
	}
	return r.sendEach(r.ctx, m, r.req, later)
}

// The order in which masters are asked, by their health.
const (
	asUsual    = iota
	spares     // used when no primary or replica is healthy, and after those
	slowStart  // recovering, and spared this time
	doubted    // suspect, or out although the last probe was well
	lastResort // out, but better than an error
	tiers
)

// order lists the masters to ask for a read, best first. The first usable of
// them are expected to answer: none in an outage.
func (p *Pool) order(r *Request) (order []*health.Master, usable int) {
	var byTier [tiers][]*health.Master
	for _, c := range p.Candidates() {
		t := p.tier(c)
		byTier[t] = append(byTier[t], c.Master)
	}
	now, class := time.Now(), health.ClassOf(r.Route)
	for t, masters := range byTier {
		switch t {
		case asUsual:
			p.preferLessLoaded(masters, class, now)
			if r.Followed {
				primaryFirst(masters, class)
			}
		case lastResort:
			usable = len(order)
			if r.Stale && usable > 0 {
				return order, usable // there is something better to answer with
			}
			p.sortByLoad(masters, class, now)
		}
		order = append(order, masters...)
	}
	return order, usable
}

func (p *Pool) tier(c health.Candidate) int {
	const percent = 100
	switch {
	case c.Trust == health.Doubted:
		return doubted
	case c.Trust == health.Hopeless:
		return lastResort
	case c.Spare:
		return spares
	case float64(p.cfg.Random(percent)) >= percent*c.Share:
		return slowStart
	}
	return asUsual
}

// preferLessLoaded puts the less loaded of two random masters first, which spreads
// a load nearly as well as knowing the least loaded one, and does not send all
// requests there at once. The others follow by load.
func (p *Pool) preferLessLoaded(masters []*health.Master, c health.Class, now time.Time) {
	if len(masters) < 2 {
		return
	}
	load := func(m *health.Master) time.Duration { return p.load(m, c, now) }
	i, j := p.cfg.Random(len(masters)), p.cfg.Random(len(masters)-1)
	if j >= i {
		j++
	}
	if load(masters[j]) < load(masters[i]) {
		i = j
	}
	first := masters[i]
	copy(masters[1:], slices.Delete(slices.Clone(masters), i, i+1))
	masters[0] = first
	p.sortByLoad(masters[1:], c, now)
}

// sortByLoad puts the less loaded masters first.
func (p *Pool) sortByLoad(masters []*health.Master, c health.Class, now time.Time) {
	slices.SortStableFunc(masters, func(a, b *health.Master) int { return cmp.Compare(p.load(a, c, now), p.load(b, c, now)) })
}

func (p *Pool) load(m *health.Master, c health.Class, now time.Time) time.Duration {
	return m.Load(c, p.cfg.LatencyFloor, now)
}

// primaryFirst puts the primary first, if it is among the masters and no request
// waits for it.
func primaryFirst(masters []*health.Master, c health.Class) {
	i := slices.IndexFunc(masters, func(m *health.Master) bool { return m.Primary })
	if i > 0 && !masters[i].Waits(c) {
		toFront(masters, i)
	}
}

func toFront(masters []*health.Master, i int) {
	m := masters[i]
	copy(masters[1:], masters[:i])
	masters[0] = m
}

// budget limits the requests that are sent once more on a mere chance: to a share of all
// requests, and a few in any case, so that a quiet site has some too.
type budget struct {
	share     float64 // earned by each request
	perSecond float64 // earned by waiting
	most      float64 // that can be saved up

	mu    sync.Mutex
	saved float64
	at    time.Time
}

// newRetries is the budget for asking a master that is out after those that are not have
// failed: 10 % of the requests. The first try at a master that is expected to answer is
// free.
func newRetries() *budget { return &budget{share: 0.1, perSecond: 5, most: 64, saved: 64} }

// newHedges is the budget for asking another master before one has failed: 5 %
// of the requests.
func newHedges() *budget { return &budget{share: 0.05, perSecond: 0.1, most: 10, saved: 1} }

// earn counts a request.
func (b *budget) earn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	b.saved = min(b.most, b.saved+b.share)
}

// spend takes one.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	if b.saved < 1 {
		return false
	}
	b.saved--
	return true
}

// refill adds the earnings of the time that has passed. b.mu is held.
func (b *budget) refill(now time.Time) {
	if !b.at.IsZero() {
		b.saved = min(b.most, b.saved+b.perSecond*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
}
