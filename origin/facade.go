package origin

import (
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
	Unavailable = pool.Unavailable

	Sink      = fetch.Sink
	Documents = fetch.Documents
	Lender    = fetch.Lender

	Timeouts = transport.Timeouts
)

// Errors of requests to masters.
var (
	ErrUnavailable = pool.ErrUnavailable
	ErrOutage      = pool.ErrOutage
	ErrDrained     = pool.ErrDrained
	ErrRequest     = pool.ErrRequest
)

// NewDocuments returns a bound of that many bytes for all sites, besides those that
// lender lends.
func NewDocuments(size int64, lender Lender) *Documents { return fetch.NewDocuments(size, lender) }
