package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"pkgedge/edge/report"
)

// Top is the packages and files that a running edge is asked for most, in about the last hour.
type Top struct {
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	Asked   []Ranked  `json:"asked"`
	Missed  []Ranked  `json:"missed"` // a master had to be asked for them
	Sent    []Ranked  `json:"sent"`   // in bytes to clients
	Lately  *Lately   `json:"lately"` // nil where the edge has no figures yet
}

// Ranked is a package or a file, and about how many requests or bytes there were for it.
type Ranked struct {
	Site  string `json:"site"`
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Lately is the figures of about the last minute. Times are those of its last ten seconds.
type Lately struct {
	Seconds  float64 `json:"seconds"`
	Requests int64   `json:"requests"`
	Reads    int64   `json:"reads"`  // of them
	Stored   int64   `json:"stored"` // of the reads the ones that waited for no master
	Sent     int64   `json:"sent"`   // bytes of bodies to clients
	Fetched  int64   `json:"fetched"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

// latelySamples is how many samples are Lately: they are taken every ten seconds.
const latelySamples = 6

// Top returns the present one. It is told by the stream that the page lives by.
func (c *Client) Top(ctx context.Context) (top *Top, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the stream has no end of its own
	stream, err := c.open(ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	top = new(Top)
	if err = top.read(stream); err != nil {
		return nil, fmt.Errorf("cannot read the events of %s: %w", c.base, err)
	}
	return top, nil
}

// read reads a stream as far as its first status and hour.
func (t *Top) read(stream io.Reader) error {
	lines := bufio.NewScanner(io.LimitReader(stream, maxClientReply))
	lines.Buffer(nil, maxClientReply)
	event, status := "", false
	for lines.Scan() {
		if name, ok := bytes.CutPrefix(lines.Bytes(), []byte("event: ")); ok {
			event = string(name)
		}
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		switch event {
		case "status":
			if err := json.Unmarshal(data, t); err != nil {
				return err
			}
			for _, all := range [][]Ranked{t.Asked, t.Missed, t.Sent} {
				for i := range all {
					all[i].Site, all[i].Name = report.Printable(all[i].Site), report.Printable(all[i].Name)
				}
			}
			status = true
		case "hour":
			var hour columns
			if err := json.Unmarshal(data, &hour); err != nil {
				return err
			}
			if t.Lately = hour.lately(); status {
				return nil
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("they end before they have told anything")
}

// columns are the samples of the event "hour", a list for each figure.
type columns struct {
	Seconds  []float64 `json:"seconds"`
	Requests []int64   `json:"requests"`
	Reads    []int64   `json:"reads"`
	Stored   []int64   `json:"stored"`
	Sent     []int64   `json:"sent"`
	Fetched  []int64   `json:"fetched"`
	P50      []float64 `json:"p50"`
	P99      []float64 `json:"p99"`
}

// lately sums up the last samples.
func (h *columns) lately() *Lately {
	if len(h.Seconds) == 0 {
		return nil
	}
	return &Lately{
		Seconds: sum(h.Seconds), Requests: sum(h.Requests), Reads: sum(h.Reads), Stored: sum(h.Stored), Sent: sum(h.Sent), Fetched: sum(h.Fetched),
		P50: last(h.P50), P99: last(h.P99),
	}
}

func sum[N int64 | float64](all []N) (n N) {
	for _, one := range all[max(0, len(all)-latelySamples):] {
		n += one
	}
	return n
}

func last(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}
