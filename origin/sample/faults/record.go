package faults

import (
	"net/http"
	"pkgedge/origin/sample"
	"slices"
	"strings"
	"sync"
)

const (
	maxRecords     = 8192    // requests a master remembers
	maxRecordBody  = 1 << 20 // bytes of each body it remembers, and
	maxRecordBytes = 1 << 25 // of all bodies together
)

// Record is a request that arrived at a master. Nothing in it may be changed.
type Record struct {
	Method  string
	Path    string // decoded, below the base: "/@scope/name" in all its forms
	Raw     string // as sent: escaped, with the base and the query
	Query   string // raw, without "?"
	Variant string // "full" or "abbreviated": the packument that Accept asks for
	Header  http.Header
	Host    string
	Remote  string // address and port, so it tells connections apart
	Body    []byte // its first MiB
}

func newRecord(x *sample.Exchange) Record {
	r := x.Request
	return Record{
		Method: r.Method, Path: x.Path, Raw: r.RequestURI, Query: r.URL.RawQuery,
		Variant: x.Variant, Header: r.Header.Clone(),
		Host: r.Host, Remote: r.RemoteAddr, Body: x.Body[:min(len(x.Body), maxRecordBody)],
	}
}

// Match picks requests. It is called under a lock of the master, so it looks at
// the record and nothing else.
type Match func(Record) bool

// Any picks every request.
func Any(Record) bool { return true }

// Path picks requests for a decoded path below the base.
func Path(path string) Match { return func(r Record) bool { return r.Path == path } }

// Prefix picks requests whose decoded path starts so.
func Prefix(prefix string) Match {
	return func(r Record) bool { return strings.HasPrefix(r.Path, prefix) }
}

// Suffix picks requests whose decoded path ends so: ".tgz".
func Suffix(suffix string) Match {
	return func(r Record) bool { return strings.HasSuffix(r.Path, suffix) }
}

// Method picks requests by their method.
func Method(method string) Match { return func(r Record) bool { return r.Method == method } }

// All picks the requests that each of its parts picks.
func All(parts ...Match) Match {
	return func(r Record) bool {
		return !slices.ContainsFunc(parts, func(m Match) bool { return !m(r) })
	}
}

// Line is one of the things that [Master.Counts] counts.
type Line struct{ Method, Path, Variant string }

// journal keeps the newest requests.
type journal struct {
	mu      sync.Mutex
	records []Record
	bytes   int // of bodies
	waiters []*waiter
}

// waiter waits for requests to arrive.
type waiter struct {
	match Match
	left  int
	done  chan struct{}
}

func (j *journal) add(r Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.records) >= maxRecords || j.bytes+len(r.Body) > maxRecordBytes {
		j.records = slices.Clone(j.records[(len(j.records)+1)/2:])
		j.bytes = 0
		for _, kept := range j.records {
			j.bytes += len(kept.Body)
		}
	}
	j.records = append(j.records, r)
	j.bytes += len(r.Body)
	j.waiters = slices.DeleteFunc(j.waiters, func(w *waiter) bool {
		if w.match(r) {
			w.left--
		}
		if w.left > 0 {
			return false
		}
		close(w.done)
		return true
	})
}

// Requests are the requests that arrived, oldest first. Of more than some 8000
// requests, or 32 MiB of request bodies, the older half is forgotten.
func (m *Master) Requests() []Record {
	m.journal.mu.Lock()
	defer m.journal.mu.Unlock()
	return slices.Clone(m.journal.records)
}

// Count is the number of requests that match, among [Master.Requests].
func (m *Master) Count(match func(Record) bool) int {
	n := 0
	for _, r := range m.Requests() {
		if match(r) {
			n++
		}
	}
	return n
}

// Counts is the number of requests, among [Master.Requests], by method, path
// and variant.
func (m *Master) Counts() map[Line]int {
	out := map[Line]int{}
	for _, r := range m.Requests() {
		out[Line{r.Method, r.Path, r.Variant}]++
	}
	return out
}

// Forget empties the record that Requests, Count, Counts and Arrived look at.
func (m *Master) Forget() {
	m.journal.mu.Lock()
	defer m.journal.mu.Unlock()
	m.journal.records, m.journal.bytes = nil, 0
}

// Arrived returns a channel that is closed once a matching request has arrived,
// be it before the call or after. By then the request is carried out, its
// answer made of the content as it was, and its faults settled; nothing of the
// answer may have left.
func (m *Master) Arrived(match Match) <-chan struct{} { return m.ArrivedTimes(1, match) }

// ArrivedTimes is [Master.Arrived] for n requests.
func (m *Master) ArrivedTimes(n int, match Match) <-chan struct{} {
	j := &m.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	w := &waiter{match: match, left: n, done: make(chan struct{})}
	for _, r := range j.records {
		if match(r) {
			w.left--
		}
	}
	if w.left > 0 {
		j.waiters = append(j.waiters, w)
	} else {
		close(w.done)
	}
	return w.done
}
