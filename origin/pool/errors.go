package pool

import (
	"errors"
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

	// ErrRequest: the request of a client is not sound, or broke off. It tells
	// nothing of the masters.
	ErrRequest = errors.New("the request is not whole")

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
	Sent       bool          // a master may have the request of a client, and have acted on it
	Tried      []error       // a Trial for each master, and errors about all of them
}

func (u *Unavailable) Error() string {
	return ErrUnavailable.Error() + ": " + errors.Join(u.Tried...).Error()
}

// Unwrap makes errors.Is see ErrUnavailable and the error of each master.
func (u *Unavailable) Unwrap() []error { return append([]error{ErrUnavailable}, u.Tried...) }

// Trial is a master that was asked in vain, or is not asked.
type Trial struct {
	Name, Role string // the role is primary, replica or spare
	Answered   bool   // there was a response, that was no good or did not end
	Took       time.Duration
	Err        error
}

func (t *Trial) Error() string { return t.Name + ": " + t.Err.Error() }
func (t *Trial) Unwrap() error { return t.Err }

// Deed is the trial in words that follow the master's name, see health.Deed.
func (t *Trial) Deed() string { return health.Deed(t.Err, t.Answered, t.Took) }

func (u *Unavailable) add(t *Trial) {
	var status *transport.StatusError
	if errors.As(t.Err, &status) && status.RetryAfter > 0 {
		u.RetryAfter = max(u.RetryAfter, status.RetryAfter)
	}
	u.Timeout = transport.IsTimeout(t.Err)
	u.Asked = u.Asked || !errors.Is(t.Err, health.ErrBusy)
	u.Tried = append(u.Tried, t)
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
