package page

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"pkgedge/edge/history"
)

const (
	// MaxStreams is how many pages may be open at a time.
	MaxStreams = 16
	// every is the time between two states. It is the heartbeat, too: a page that has heard
	// nothing for some of them says so.
	every = 2 * time.Second
	// stalled is how long a browser may take for one message.
	stalled = 10 * time.Second
)

// Events answers GET /events with server-sent events: "status" every two seconds, "hour" when
// there are new samples, and "end" before the edge closes the stream.
type Events struct {
	source  Source
	streams chan struct{} // a slot for each
	ended   chan struct{} // closed by End
	end     func()
}

// NewEvents returns the events of a source.
func NewEvents(s Source) *Events {
	e := &Events{source: s, streams: make(chan struct{}, MaxStreams), ended: make(chan struct{})}
	e.end = sync.OnceFunc(func() { close(e.ended) })
	return e
}

// End ends all streams, and those that are still to come. Browsers come back by themselves,
// to the next process.
func (e *Events) End() { e.end() }

// ServeHTTP implements http.Handler.
func (e *Events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	select {
	case e.streams <- struct{}{}:
		defer func() { <-e.streams }()
	default:
		h.Set("Content-Type", "application/json")
		h.Set("Retry-After", "10")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"` + strconv.Itoa(MaxStreams) + ` pages are open, which is all there may be: close one"}` + "\n"))
		return
	}
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy before the listener is not to wait for more
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	s := stream{w: w, control: http.NewResponseController(w), next: -1}
	s.text.WriteString("retry: 2000\n\n")
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for e.state(&s) == nil {
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		case <-e.ended:
			_ = s.event("end", struct{}{})
			_ = s.send() // the browser learns it by the end of the stream, too
			return
		}
	}
}

// state sends the state, and the samples that the stream has not had.
func (e *Events) state(s *stream) error {
	if err := s.event("status", e.source.state()); err != nil {
		return err
	}
	samples, next := e.source.Hour.Since(s.next)
	if len(samples) > 0 || s.next < 0 {
		if err := s.event("hour", columnsOf(samples)); err != nil {
			return err
		}
		s.next = next
	}
	return s.send()
}

// stream is one open page.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	text    bytes.Buffer
	next    int // the number of the next sample; -1 before the first event
}

// event adds an event to the text. JSON has no line breaks.
func (s *stream) event(name string, data any) error {
	s.text.WriteString("event: " + name + "\ndata: ")
	if err := json.NewEncoder(&s.text).Encode(data); err != nil {
		return err
	}
	s.text.WriteByte('\n')
	return nil
}

// send sends the text. A browser that does not read is let go.
func (s *stream) send() error {
	_ = s.control.SetWriteDeadline(time.Now().Add(stalled)) // an error means that the connection has no deadlines, as in tests
	_, err := s.w.Write(s.text.Bytes())
	s.text.Reset()
	if err != nil {
		return err
	}
	return s.control.Flush()
}

// columns are samples as the plots take them: a list for each figure, a second being the unit.
type columns struct {
	At       []int64   `json:"at"` // Unix time
	Seconds  []float64 `json:"seconds"`
	Requests []int64   `json:"requests"`
	Reads    []int64   `json:"reads"`
	Stored   []int64   `json:"stored"`
	Stale    []int64   `json:"stale"`
	Errors   []int64   `json:"errors"`
	Sent     []int64   `json:"sent"`
	SentRead []int64   `json:"sent_reads"`
	Saved    []int64   `json:"sent_stored"`
	Fetched  []int64   `json:"fetched"`
	P50      []float64 `json:"p50"`
	P99      []float64 `json:"p99"`
	Memory   []int64   `json:"memory"`
	Disk     []int64   `json:"disk"`
	Outage   []bool    `json:"outage"`
}

func columnsOf(samples []history.Sample) (c columns) {
	c.At = []int64{} // and no null
	for i := range samples {
		s := &samples[i]
		c.At = append(c.At, s.At.Unix())
		c.Seconds = append(c.Seconds, s.Seconds)
		c.Requests, c.Reads, c.Stored = append(c.Requests, s.Requests), append(c.Reads, s.Reads), append(c.Stored, s.Stored)
		c.Stale, c.Errors = append(c.Stale, s.StaleErrors), append(c.Errors, s.Errors)
		c.Sent, c.SentRead, c.Saved, c.Fetched = append(c.Sent, s.Sent), append(c.SentRead, s.SentReads), append(c.Saved, s.SentStored), append(c.Fetched, s.Fetched)
		c.P50, c.P99 = append(c.P50, s.P50), append(c.P99, s.P99)
		c.Memory, c.Disk, c.Outage = append(c.Memory, s.Memory), append(c.Disk, s.Disk), append(c.Outage, s.Outage)
	}
	return c
}
