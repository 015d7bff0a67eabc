package health

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"pkgedge/origin/transport"
)

// Blame is an error of a request together with its cause: the metrics' word for
// it, and the deed of the master, if it is to blame.
type Blame struct {
	Word       string // for metrics, one of a small set: "timeout", "refused", "digest"
	Did        string // the master's deed, in words that follow "was"; "" where the master is not to blame
	Unanswered bool   // not even a response's fields came
	Stalled    bool   // the rest of a response was waited for in vain
	Unsure     bool   // the request of a client may be the cause: a reason to probe, and no more
	Err        error
}

func (b *Blame) Error() string { return b.Err.Error() }
func (b *Blame) Unwrap() error { return b.Err }

// Ours is an error that is no master's doing: of a limit of ours, of our disk or network,
// or of a client that left.
type Ours struct {
	Word string // for metrics
	Err  error
}

func (o *Ours) Error() string { return o.Err.Error() }
func (o *Ours) Unwrap() error { return o.Err }

// Guilty says whether the master is to blame.
func (b *Blame) Guilty() bool { return b.Did != "" }

// alike says whether two requests failed in the same way.
func (b *Blame) alike(o *Blame) bool { return b.Did == o.Did && b.Unanswered == o.Unanswered }

// Slow is the blame for an answer that came, but far later than those of other
// masters.
func Slow() *Blame { return &Blame{Word: "slow", Did: "answered too slowly"} }

// Unanswered is the blame for a request that got no response.
func Unanswered(err error) *Blame {
	b := &Blame{Unanswered: true, Err: err}
	switch f := inTransit(err); {
	case f.ours:
		b.Word, b.Unanswered = f.word, false
	case f.always != "": // the master did answer
		b.Word, b.Did, b.Unanswered = f.word, f.always, false
	case f.before != "":
		b.Word, b.Did = f.word, f.before
	default:
		b.Word, b.Did = Word(err), "not answered"
	}
	return b
}

// Passed is the blame for a request of a client that was sent as it is, and got no
// response. A client can choose a request that even a healthy master breaks off, or
// takes long for: only that there was no connection is the master's fault alone.
func Passed(err error, sent bool) *Blame {
	b := Unanswered(err)
	b.Unsure = sent
	return b
}

// Broken is the blame for the response to such a request that broke off.
func Broken(err error) *Blame {
	b := Answered(err)
	b.Unsure = true
	return b
}

// Answered is the blame for a response that was no good. It blames nobody where
// the master is as well as it was: one that lags, has a document too large for us, or
// refuses this request alone. A client chooses which document is asked for.
func Answered(err error) *Blame {
	b := &Blame{Word: Word(err), Err: err}
	var own *Blame
	switch status, f := (*transport.StatusError)(nil), inTransit(err); {
	case err == nil, f.ours:
	case errors.As(err, &status):
		if s := status.Status; s >= 500 && s != http.StatusLoopDetected { // a loop is our configuration's
			b.Did = "answered " + strconv.Itoa(s)
		}
	case f.word != "":
		b.Did = f.always + f.amid
		b.Stalled = errors.Is(err, transport.ErrIdle) || transport.IsTimeout(err)
	case errors.As(err, &own):
		b.Did = own.Did
	}
	return b
}

// Word puts an error into one of a few words, for metrics.
func Word(err error) string {
	var status *transport.StatusError
	var own *Blame
	switch f := inTransit(err); {
	case f.ours:
		return f.word
	case errors.As(err, &status):
		return strconv.Itoa(status.Status)
	case f.word != "":
		return f.word
	case errors.As(err, &own):
		return own.Word
	}
	return "error"
}

// transit is one way in which a request fails on its way. The deed depends on
// whether the response's fields had come.
type transit struct {
	word         string
	before, amid string // the deed before the fields and in the body; "" for no blame
	always       string // the deed, where it tells that the master did answer
	ours         bool   // the master is not to blame for it
}

// noRoom are the errors of a machine, this one, that has no more room for connections.
var noRoom = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// inTransit classifies an error of the transport. It is zero for any other error.
func inTransit(err error) transit {
	var own *Ours
	switch {
	case err == nil:
		return transit{}
	case errors.As(err, &own):
		return transit{word: own.Word, ours: true}
	case slices.ContainsFunc(noRoom, func(e error) bool { return errors.Is(err, e) }):
		return transit{word: "no room", ours: true}
	case errors.Is(err, transport.ErrIdle):
		return transit{word: "stalled", amid: "stalled mid-body"}
	case errors.Is(err, transport.ErrDrip):
		return transit{word: "drip"}
	case errors.Is(err, transport.ErrSlow): // the link may be
		return transit{word: "slow"}
	case transport.IsTimeout(err):
		return transit{word: "timeout", before: "not answered in time", amid: "cut mid-body"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return transit{word: "refused", before: "refused a connection"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return transit{word: "cut", before: "cut off before an answer", amid: "cut mid-body"}
	case errors.Is(err, transport.ErrRedirects):
		return transit{word: "redirects", always: "redirected in circles"}
	case errors.Is(err, transport.ErrPrivate):
		return transit{word: "private", always: "redirected to a private address", ours: true} // by a rule of ours
	case errors.Is(err, transport.ErrDowngrade):
		return transit{word: "downgrade", always: "redirected from https to http", ours: true}
	case errors.Is(err, context.Canceled): // nobody waits for it any more
		return transit{word: "abandoned", ours: true}
	case strings.Contains(err.Error(), "server response headers exceeded"): // net/http has no type for it
		return transit{word: "fields", always: "answered with too long a header"}
	}
	return transit{}
}
