package pool

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/transport"
)

var (
	// ErrUnavailable is wrapped by every Unavailable.
	ErrUnavailable = errors.New("no master could answer")
	// ErrOutage: all masters are known to be out. Few requests are sent to one then, see
	// Unavailable.Asked.
	ErrOutage = errors.New("every master is out")
	// ErrDrained: the primary, which alone takes this request, is drained.
	ErrDrained = errors.New("the primary is drained")

	// errOutrun: another master answered sooner.
	errOutrun = errors.New("another master was sooner")
	// errBudget: enough requests were sent to masters that are out of late.
	errBudget = errors.New("the retry budget is spent")
)

// Unavailable says that no master gave a usable answer, and lists their answers.
type Unavailable struct {
	Timeout    bool          // the last one was waited for in vain: 504 rather than 503
	RetryAfter time.Duration // as a master asked for, or 0
	Asked      bool          // a master was sent the request
	Tried      []error
}

func (u *Unavailable) Error() string {
	return ErrUnavailable.Error() + ": " + errors.Join(u.Tried...).Error()
}

// Unwrap makes errors.Is see ErrUnavailable and the error of each master.
func (u *Unavailable) Unwrap() []error { return append([]error{ErrUnavailable}, u.Tried...) }

func (u *Unavailable) add(m *health.Master, err error) {
	var status *transport.StatusError
	if errors.As(err, &status) && status.RetryAfter > 0 {
		u.RetryAfter = max(u.RetryAfter, status.RetryAfter)
	}
	u.Timeout = transport.IsTimeout(err)
	u.Asked = u.Asked || !errors.Is(err, health.ErrBusy)
	u.Tried = append(u.Tried, fmt.Errorf("%s: %w", m.Name(), err))
}

// Absent says that every master that was asked answered that there is no such thing.
func (u *Unavailable) Absent() bool {
	return len(u.Tried) > 0 && !slices.ContainsFunc(u.Tried, func(err error) bool {
		var status *transport.StatusError
		return !errors.As(err, &status) || !transport.Absence(status.Status)
	})
}

// Unasked says that no master was asked, because those that could be have too many
// requests already: it tells nothing of them.
func (u *Unavailable) Unasked() bool {
	ours := func(err error) bool { return errors.Is(err, health.ErrBusy) || errors.Is(err, errBudget) }
	return len(u.Tried) > 0 && !slices.ContainsFunc(u.Tried, func(err error) bool { return !ours(err) })
}
