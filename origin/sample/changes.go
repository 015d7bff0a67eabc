package sample

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// event is one change of a package; its sequence is its place in the list,
// counted from 1.
type event struct {
	name    string
	rev     string
	deleted bool
}

// notifier wakes the requests that wait for content.
type notifier struct {
	mu   sync.Mutex
	wake chan struct{} // nil while nobody waits
}

// changed returns a channel that is closed at the next change.
func (n *notifier) changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wake == nil {
		n.wake = make(chan struct{})
	}
	return n.wake
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wake != nil {
		close(n.wake)
		n.wake = nil
	}
}

// changed returns c's events, and those of becoming a content with packages.
func (c *content) changed(packages map[string]*packument) []event {
	var added []event
	for name, p := range packages {
		if c.packages[name] != p {
			added = append(added, event{name: name, rev: p.revision()})
		}
	}
	for name, p := range c.packages {
		if packages[name] == nil {
			added = append(added, event{name: name, rev: p.revision(), deleted: true})
		}
	}
	slices.SortFunc(added, func(a, b event) int { return strings.Compare(a.name, b.name) })
	return append(c.events, added...)
}

// changeRow is a row of the feed.
type changeRow struct {
	Seq     int       `json:"seq"`
	ID      string    `json:"id"`
	Changes []leafRev `json:"changes"`
	Deleted bool      `json:"deleted,omitempty"`
}

type leafRev struct {
	Rev string `json:"rev"`
}

// since returns the rows after a sequence: as in CouchDB a package has one, its
// last. Packages that need a token are not told.
func (c *content) since(seq, limit int) (rows []changeRow, last int) {
	seq = min(max(seq, 0), len(c.events))
	latest := make(map[string]int)
	for i, e := range c.events[seq:] {
		if !private(e.name) {
			latest[e.name] = seq + i
		}
	}
	last = len(c.events)
	for _, i := range slices.Sorted(maps.Values(latest)) {
		if len(rows) == limit {
			return rows, rows[limit-1].Seq
		}
		e := c.events[i]
		rows = append(rows, changeRow{Seq: i + 1, ID: e.name, Changes: []leafRev{{e.rev}}, Deleted: e.deleted})
	}
	return rows, last
}

// changes answers /_changes?since=…&limit=…&feed=…, in CouchDB's plain, longpoll
// and continuous forms.
func (m *Master) changes(w *Answer, q *query) {
	asked := q.URL.Query()
	seq, err := strconv.Atoi(asked.Get("since"))
	switch {
	case asked.Get("since") == "now":
		seq = len(m.content().events)
	case asked.Get("since") != "" && err != nil:
		refuse(w, http.StatusBadRequest, "Malformed sequence supplied in 'since' parameter.")
		return
	}
	limit, err := strconv.Atoi(asked.Get("limit"))
	if err != nil || limit < 1 {
		limit = math.MaxInt
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	switch asked.Get("feed") {
	case "continuous":
		w.stream = func(x *Exchange, a *Answer) { m.stream(x, a, seq, asked) }
	case "longpoll":
		w.stream = func(x *Exchange, a *Answer) {
			m.await(x, seq, milliseconds(asked.Get("timeout"), time.Minute))
			a.Body = m.content().page(seq, limit)
			a.Length = len(a.Body)
			x.Put(x.Start(a))
		}
	default:
		w.Body = m.content().page(seq, limit)
	}
}

// page is the plain form.
func (c *content) page(seq, limit int) []byte {
	rows, last := c.since(seq, limit)
	if rows == nil {
		rows = []changeRow{}
	}
	left, _ := c.since(last, math.MaxInt)
	body, _ := json.Marshal(map[string]any{"results": rows, "last_seq": last, "pending": len(left)}) // numbers and texts
	return append(body, '\n')
}

// await waits until there is a row after seq, for that long at most.
func (m *Master) await(x *Exchange, seq int, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		wake := m.store.notifier.changed()
		if rows, _ := m.content().since(seq, 1); len(rows) > 0 {
			return
		}
		select {
		case <-wake:
		case <-t.C:
			return
		case <-x.Request.Context().Done():
			x.Cut()
		}
	}
}

// stream sends each row when it is there, and a blank line for each heartbeat.
// Without one it ends after a while without rows.
func (m *Master) stream(x *Exchange, a *Answer, seq int, asked url.Values) {
	beat := milliseconds(asked.Get("heartbeat"), 0)
	every := beat
	if beat == 0 {
		every = milliseconds(asked.Get("timeout"), time.Minute)
	}
	t := time.NewTicker(every)
	defer t.Stop()
	maps.Copy(x.Writer.Header(), a.Fields)
	x.Writer.WriteHeader(a.Status)
	for {
		wake := m.store.notifier.changed()
		rows, last := m.content().since(seq, math.MaxInt)
		for _, r := range rows {
			line, _ := json.Marshal(r) // numbers and texts
			x.Put(append(line, '\n'))
		}
		seq = max(seq, last)
		x.Flush()
		select {
		case <-wake:
		case <-t.C:
			if beat == 0 {
				x.Put(fmt.Appendf(nil, "{\"last_seq\":%d,\"pending\":0}\n", seq))
				return
			}
			x.Put([]byte("\n"))
		case <-x.Request.Context().Done():
			x.Cut()
		}
	}
}

// milliseconds reads a parameter.
func milliseconds(text string, otherwise time.Duration) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return otherwise
	}
	return time.Duration(n) * time.Millisecond
}
