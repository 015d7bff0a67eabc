package origin

import (
	"net/http"

	"pkgedge/origin/documents"
	"pkgedge/origin/fetch"
	"pkgedge/origin/health"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

// The types of the packages below that users of a Site need.
type (
	Upstream     = health.Upstream
	Probe        = health.Probe
	PoolStatus   = health.PoolStatus
	MasterStatus = health.MasterStatus
	ProbeStatus  = health.ProbeStatus

	Request     = pool.Request
	Nearer      = pool.Nearer
	Found       = pool.Found
	Unavailable = pool.Unavailable
	Trial       = pool.Trial
	Blame       = health.Blame
	StatusError = transport.StatusError

	Sink      = fetch.Sink
	Documents = documents.Memory
	Lender    = documents.Lender

	Timeouts = transport.Timeouts
)

// Errors of requests to masters.
var (
	ErrUnavailable = pool.ErrUnavailable
	ErrOutage      = pool.ErrOutage
	ErrDrained     = pool.ErrDrained
	ErrRequest     = pool.ErrRequest
)

// TooManyFields reports whether the fields of a client are more than a master should get with
// a fetch that others share.
func TooManyFields(h http.Header) bool { return transport.TooManyFields(h) }

// Mislead says whether a field of a request that is passed could pretend another way or
// request than its own.
func Mislead(name string) bool { return transport.Mislead(name) }

// TraceID is the trace's ID of a well-formed traceparent, empty for another.
func TraceID[text string | []byte](traceparent text) text { return transport.TraceID(traceparent) }

// KeepTrace deletes the fields of a trace from a request that has no well-formed ones.
func KeepTrace(h http.Header) { transport.KeepTrace(h) }

// Deed says in words that follow a master's name how its answer was no good.
func Deed(err error) string { return health.Deed(err, true, 0) }

// NewDocuments returns a bound of that many bytes for all sites, besides those that
// lender lends.
func NewDocuments(size int64, lender Lender) *Documents {
	return documents.New(documents.Split(size), lender)
}
