package fetch

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"pkgedge/origin/transport"
)

// SpoolTimes are how long a file is kept from its readers until its digest is right,
// counted from a master's first byte: Least in any case, and as far as Most while its rate
// promises the end before Most. After that it streams, and a client that reads has to be told
// of a wrong file by a broken connection.
type SpoolTimes struct {
	Least, Most time.Duration
	Rate        int64 // bytes a second; a master that sends fewer until Least is too slow
}

// spoolTimes are far below the patience of package clients, which give a server 30 s and
// more, and enough for 5 MB at 1 MB/s. A link that is slow itself is asked to send little twice.
var spoolTimes = SpoolTimes{Least: 2 * time.Second, Most: 6 * time.Second, Rate: 16 << 10}

// endsSoon says whether a file is worth keeping back longer: got of its left bytes, -1
// where that is not known, came in the time spent.
func (s SpoolTimes) endsSoon(spent time.Duration, got, left int64) bool {
	switch {
	case spent < s.Least:
		return true
	case spent >= s.Most || left < 0 || got <= 0:
		return false
	}
	return float64(spent)*float64(left) <= float64(s.Most)*float64(got)
}

// mayLeave says whether a master that is too slow can be left: where readers have bytes
// already, only a digest lets another one go on.
func (t *transfer) mayLeave() bool { return t.awaited.Load() || t.digest.Algorithm != "" }

// spooling is the part of a transfer that knows whether readers wait for it.
type spooling struct {
	spool   spooler
	pace    pace
	times   SpoolTimes
	begun   time.Time   // of the present master's bytes
	from    int64       // the offset of the first of them
	awaited atomic.Bool // nothing has been released; pool.Request.Awaited
	mixed   bool        // the bytes are of several masters
	again   bool        // it has begun anew once
}

// respond begins the response: spooled where the file can be checked and its bytes have a
// place, and otherwise released as it comes.
func (t *transfer) respond(r *http.Response) error {
	t.mixed = false
	t.off, t.withheld, t.refused = 0, t.withheld[:0], nil
	if t.check != nil && t.spool.Spool(r.StatusCode, r.Header, r.ContentLength) {
		return nil
	}
	t.awaited.Store(false)
	return t.sink.Respond(r.StatusCode, r.Header, r.ContentLength)
}

// release gives readers all but the tail of a spooled file, and the rest as it comes.
func (t *transfer) release() {
	t.awaited.Store(false)
	t.spool.Release()
}

// beginSpan begins to count the bytes of one master.
func (t *transfer) beginSpan() { t.begun, t.from = time.Now(), t.off }

func (t *transfer) endsSoon(now time.Time) bool {
	left := int64(-1)
	if t.size >= 0 {
		left = t.size - t.from
	}
	return t.times.endsSoon(now.Sub(t.begun), t.off-t.from, left)
}

// restartable says whether a transfer that ended with err can begin anew: one whose bytes
// are of several masters may be wrong though one of them has the right file, and one that was
// too slow is better than none.
func (t *transfer) restartable(ctx context.Context, err error) bool {
	if errors.Is(err, transport.ErrSlow) && t.awaited.Load() {
		return ctx.Err() == nil && !t.again
	}
	return err != nil && t.mixed && t.refused == nil && t.spool.Spooled() && ctx.Err() == nil && !t.again
}

// restart fetches the whole file once more. The masters that broke off or sent a wrong one
// are asked last.
func (f *Fetcher) restart(ctx context.Context, t *transfer) error {
	t.mixed, t.broken, t.again = false, nil, true
	t.awaited.Store(true)
	t.ask.MastersOnly = true
	return f.fetchTransfer(ctx, t)
}
