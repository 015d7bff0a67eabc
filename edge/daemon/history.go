package daemon

import (
	"context"
	"runtime/metrics"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/admin"
	"pkgedge/edge/admin/page"
	"pkgedge/edge/history"
)

// pastHour is the history of this edge.
type pastHour struct {
	hour     *history.Hour
	asked    history.Top // packages and files that were asked for
	missed   history.Top // those for which a master had to be asked
	sent     history.Top // their bytes to clients
	failures history.Failures
}

func newPastHour(now time.Time) *pastHour {
	return &pastHour{hour: history.NewHour(admin.TimeBounds(), now)}
}

// keepHistory samples the counters until stop has returned.
func (d *Daemon) keepHistory(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.history.hour.Run(ctx, d.totals)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// pageSource is where the page of the admin listener has its state from.
func (d *Daemon) pageSource() page.Source {
	return page.Source{
		Status: d.report, Reloads: d.reloads.recent, Memory: resident,
		Hour: d.history.hour, Asked: &d.history.asked, Missed: &d.history.missed, Sent: &d.history.sent, Failures: &d.history.failures,
		Token: d.cfg.Admin.Token != "",
	}
}

// totals are the counters that the history is sampled from.
func (d *Daemon) totals() (t history.Totals) {
	traffic := d.metrics.Traffic()
	read := func(o cache.Outcome) admin.Traffic {
		is := traffic[o.String()]
		t.Reads += is.Answers
		t.SentReads += is.Bytes
		for i, n := range is.Times {
			if len(t.Times) <= i {
				t.Times = append(t.Times, 0)
			}
			t.Times[i] += n
		}
		return is
	}
	for _, o := range []cache.Outcome{cache.Hit, cache.HitStale, cache.HitError} {
		is := read(o)
		t.Stored += is.Answers
		t.SentStored += is.Bytes
	}
	for _, o := range []cache.Outcome{cache.Revalidated, cache.Collapsed} { // the bytes were here, or came for another
		t.SentStored += read(o).Bytes
	}
	read(cache.Missed)
	read(cache.Failed)
	t.StaleErrors = traffic[cache.HitError.String()].Answers
	for _, o := range []cache.Outcome{cache.Refused, cache.Limited, cache.Looped} {
		t.Refused += traffic[o.String()].Answers
	}
	for _, is := range traffic {
		t.Requests += is.Answers
		t.Errors += is.Errors
		t.Sent += is.Bytes
	}
	for _, s := range d.serving().Sites {
		for _, p := range poolsOf(s) {
			t.Outage = t.Outage || !p.Outage.IsZero()
			for i := range p.Masters {
				t.Fetched += p.Masters[i].Bytes
			}
		}
	}
	u := d.cache.Usage()
	t.Memory, t.Disk = resident(), u.DiskBytes
	return t
}

// resident is the memory that the process has from the system, as the runtime tells it.
func resident() int64 {
	of := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(of)
	return int64(of[0].Value.Uint64() - of[1].Value.Uint64())
}
