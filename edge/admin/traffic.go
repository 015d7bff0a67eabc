package admin

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TimeBounds are the upper ends, in seconds, of the intervals in which the times of answers are
// counted, but for the last one, which has none.
func TimeBounds() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// Traffic is the answers of one outcome, since the start.
type Traffic struct {
	Answers int64
	Errors  int64 // of those the ones with a status of 5xx
	Bytes   int64
	Times   []uint64 // by the interval of TimeBounds
}

// Traffic returns all answers by outcome. It reads the counters that requests count in, so
// that requests pay nothing for it.
func (m *Metrics) Traffic() map[string]Traffic {
	all := make(map[string]Traffic)
	if known := m.served.known.Load(); known != nil {
		for labels, c := range *known {
			t, n := all[labels.outcome], c.count.Load()
			t.Answers += n
			if labels.class == 5 {
				t.Errors += n
			}
			all[labels.outcome] = t
		}
	}
	each(m.bytes, func(outcome string, is *dto.Metric) {
		t := all[outcome]
		t.Bytes += int64(is.GetCounter().GetValue())
		all[outcome] = t
	})
	each(m.seconds, func(outcome string, is *dto.Metric) {
		t, before := all[outcome], uint64(0)
		for _, b := range is.GetHistogram().GetBucket() { // a bucket counts those below it, too
			t.Times = append(t.Times, b.GetCumulativeCount()-before)
			before = b.GetCumulativeCount()
		}
		t.Times = append(t.Times, is.GetHistogram().GetSampleCount()-before)
		all[outcome] = t
	})
	return all
}

// each calls read with the values of a metric that has a label outcome.
func each(of prometheus.Collector, read func(outcome string, is *dto.Metric)) {
	values := make(chan prometheus.Metric)
	go func() {
		defer close(values)
		of.Collect(values)
	}()
	for v := range values {
		var is dto.Metric
		if v.Write(&is) != nil {
			continue // of no metric of ours
		}
		for _, l := range is.GetLabel() {
			if l.GetName() == "outcome" {
				read(l.GetValue(), &is)
			}
		}
	}
}
