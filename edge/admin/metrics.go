package admin

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of /metrics. Their labels are the names of sites and
// masters, from the configuration, and words from fixed sets. A package is never a
// label. The methods may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry
	inFlight atomic.Int64
	served   children[servedLabels, served]
	origin   children[originLabels, prometheus.Counter]
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

type (
	servedLabels struct {
		site, outcome string
		class         int // of the status: 2 for 200; 0 for none
	}
	originLabels struct{ site, master, result string }
)

// served are the counters of an answer.
type served struct {
	count    *atomic.Int64 // counts as requests does, which cannot be read
	requests prometheus.Counter
	bytes    prometheus.Counter
	class    prometheus.Counter
	seconds  prometheus.Observer
}

// Build names the build of the program. All but Go may be empty.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitzero"`
	Go       string `json:"go"`
}

// NewMetrics returns metrics that name the build.
func NewMetrics(is Build) *Metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_requests_total",
		Help: "Answers to clients, by what became of the request.",
	}, []string{"site", "outcome"})
	classes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_responses_total",
		Help: "Answers to clients, by the class of their status; none where there was no answer.",
	}, []string{"site", "class"})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_response_bytes_total",
		Help: "Bytes of bodies sent to clients.",
	}, []string{"site", "outcome"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "edge_response_seconds",
		Help:    "Time from a request's arrival to the end of its answer.",
		Buckets: TimeBounds(),
	}, []string{"outcome"})
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_origin_requests_total",
		Help: "Requests to masters, by how they ended.",
	}, []string{"site", "master", "result"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "edge_build_info",
		Help:        "Always 1; the labels name the build.",
		ConstLabels: prometheus.Labels{"version": is.Version, "revision": is.Revision, "go": is.Go},
	})
	build.Set(1)

	m := &Metrics{registry: prometheus.NewRegistry(), bytes: bytes, seconds: seconds}
	m.served.resolve = func(l servedLabels) served {
		return served{
			count:    new(atomic.Int64),
			requests: requests.WithLabelValues(l.site, l.outcome),
			class:    classes.WithLabelValues(l.site, classWord(l.class)),
			bytes:    bytes.WithLabelValues(l.site, l.outcome),
			seconds:  seconds.WithLabelValues(l.outcome),
		}
	}
	m.origin.resolve = func(l originLabels) prometheus.Counter {
		return fetches.WithLabelValues(l.site, l.master, l.result)
	}
	m.registry.MustRegister(
		requests, classes, bytes, seconds, fetches, build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.Gauge("edge_requests_in_flight", "Requests of clients being answered now.", func() float64 { return float64(m.InFlight()) })
	return m
}

// classWord is the label of a status class.
func classWord(class int) string {
	if class == 0 {
		return "none"
	}
	return strconv.Itoa(class) + "xx"
}

// Observe counts an answer of site: its outcome, which is a word from a fixed set,
// its status, the bytes of its body, and its duration. It allocates nothing once a set of
// labels has been seen.
func (m *Metrics) Observe(site, outcome string, status int, bytes int64, d time.Duration) {
	c := m.served.get(servedLabels{site, outcome, status / 100 % 10})
	c.count.Add(1)
	c.requests.Inc()
	c.class.Inc()
	c.bytes.Add(float64(max(bytes, 0)))
	c.seconds.Observe(d.Seconds())
}

// Served calls each with the answers counted so far, by site and outcome, and once for
// each class of status.
func (m *Metrics) Served(each func(site, outcome string, n int64)) {
	if known := m.served.known.Load(); known != nil {
		for labels, c := range *known {
			each(labels.site, labels.outcome, c.count.Load())
		}
	}
}

// Origin counts one request to a master of site and its result, a word from a
// fixed set.
func (m *Metrics) Origin(site, master, result string) {
	m.origin.get(originLabels{site, master, result}).Inc()
}

// Begin counts a client's request as being answered, until End.
func (m *Metrics) Begin() { m.inFlight.Add(1) }

// End is called once for each Begin.
func (m *Metrics) End() { m.inFlight.Add(-1) }

// InFlight is how many requests are being answered.
func (m *Metrics) InFlight() int64 { return m.inFlight.Load() }

// Gauge registers a gauge that has the value of f at each collection. It panics when
// the name is malformed or taken.
func (m *Metrics) Gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// Emit is called with a value and one text for each label.
type Emit func(value float64, labels ...string)

// Gauges registers a gauge that has, at each collection, the values that f emits.
func (m *Metrics) Gauges(name, help string, labels []string, f func(Emit)) {
	m.registry.MustRegister(&reading{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, f})
}

// Counters registers a counter in the way of [Metrics.Gauges].
func (m *Metrics) Counters(name, help string, labels []string, f func(Emit)) {
	m.registry.MustRegister(&reading{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, f})
}

// Histograms registers a histogram that has, at each collection, the values that f emits: how many
// were at most each bound, all of them, and their sum.
func (m *Metrics) Histograms(name, help string, labels []string, f func(emit func(counts map[float64]uint64, count uint64, sum float64, labels ...string))) {
	m.registry.MustRegister(&histograms{prometheus.NewDesc(name, help, labels, nil), f})
}

// histograms is a histogram whose values are read at each collection.
type histograms struct {
	desc *prometheus.Desc
	read func(func(counts map[float64]uint64, count uint64, sum float64, labels ...string))
}

func (h *histograms) Describe(to chan<- *prometheus.Desc) { to <- h.desc }

func (h *histograms) Collect(to chan<- prometheus.Metric) {
	h.read(func(counts map[float64]uint64, count uint64, sum float64, labels ...string) {
		to <- prometheus.MustNewConstHistogram(h.desc, count, sum, counts, labels...)
	})
}

// reading is a metric whose values are read at each collection.
type reading struct {
	desc *prometheus.Desc
	is   prometheus.ValueType
	read func(Emit)
}

func (r *reading) Describe(to chan<- *prometheus.Desc) { to <- r.desc }

func (r *reading) Collect(to chan<- prometheus.Metric) {
	r.read(func(value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(r.desc, r.is, value, labels...)
	})
}

// Handler answers /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// maxChildren bounds the sets of labels of a metric. Sites and masters come from the
// configuration and words from fixed sets, so that only a bug in the edge exceeds
// it. Further sets are counted under empty labels.
const maxChildren = 4096

// children maps labels to their counters. A lookup of labels that were seen before
// takes no lock.
type children[L comparable, C any] struct {
	resolve func(L) C
	mu      sync.Mutex              // held while known is replaced
	known   atomic.Pointer[map[L]C] // replaced, never changed
}

// get returns the counter of those labels.
func (c *children[L, C]) get(labels L) C {
	if known := c.known.Load(); known != nil {
		if child, ok := (*known)[labels]; ok {
			return child
		}
	}
	return c.add(labels)
}

// add returns the counter of labels that were not seen before.
func (c *children[L, C]) add(labels L) C {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make(map[L]C)
	if old := c.known.Load(); old != nil {
		if len(*old) >= maxChildren {
			var none L
			labels = none
		}
		if child, ok := (*old)[labels]; ok {
			return child
		}
		known = maps.Clone(*old)
	}
	child := c.resolve(labels)
	known[labels] = child
	c.known.Store(&known)
	return child
}
