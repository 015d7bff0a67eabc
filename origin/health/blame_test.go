package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"pkgedge/origin/transport"
)

// Each error has one word for the metrics, and blames the master for the deed that it
// shows: another one before the response's fields than in its body.
func TestBlame(t *testing.T) {
	own := &Blame{Word: "digest", Did: "answered with a wrong file", Err: errors.New("digest does not match")}
	lags := &Blame{Word: "older", Err: errors.New("older than the stored one")}
	for _, tt := range []struct {
		name                       string
		err                        error
		word, unanswered, answered string // "" for no blame
	}{
		{"none", nil, "error", "", ""},
		{"503", &transport.StatusError{Status: 503}, "503", "not answered", "answered 503"},
		{"a loop", &transport.StatusError{Status: 508}, "508", "not answered", ""},
		{"404", &transport.StatusError{Status: 404}, "404", "not answered", ""},
		{"400", &transport.StatusError{Status: 400}, "400", "not answered", ""},
		{"408", &transport.StatusError{Status: 408}, "408", "not answered", ""},
		{"429", &transport.StatusError{Status: 429}, "429", "not answered", ""},
		{"204", &transport.StatusError{Status: 204}, "204", "not answered", ""},
		{"stalled", transport.ErrIdle, "stalled", "not answered", "stalled mid-body"},
		{"drips", transport.ErrDrip, "drip", "not answered", ""},
		{"late", transport.ErrLate, "timeout", "not answered in time", "cut mid-body"},
		{"the body of the request is not taken", transport.ErrUntaken, "timeout", "not answered in time", "cut mid-body"},
		{"a deadline", os.ErrDeadlineExceeded, "timeout", "not answered in time", "cut mid-body"},
		{"refused", syscall.ECONNREFUSED, "refused", "refused a connection", ""},
		{"reset", syscall.ECONNRESET, "cut", "cut off before an answer", "cut mid-body"},
		{"cut", io.ErrUnexpectedEOF, "cut", "cut off before an answer", "cut mid-body"},
		{"redirected for ever", transport.ErrRedirects, "redirects", "redirected in circles", "redirected in circles"},
		{"redirected inside, which we refuse", transport.ErrPrivate, "private", "", ""},
		{"redirected out of TLS, which we refuse", transport.ErrDowngrade, "downgrade", "", ""},
		{"too many files are open here", syscall.EMFILE, "no room", "", ""},
		{"too long a header", errors.New("net/http: server response headers exceeded 65536 bytes; aborted"), "fields", "answered with too long a header", "answered with too long a header"},
		{"wrong", own, "digest", "not answered", "answered with a wrong file"},
		{"wrong again", &Ours{Word: "digest", Err: own}, "digest", "", ""},
		{"cut, and so unusable", fmt.Errorf("%w: %w", own, io.ErrUnexpectedEOF), "cut", "cut off before an answer", "cut mid-body"},
		{"the disk is full", &Ours{Word: "unwanted", Err: syscall.ENOSPC}, "unwanted", "", ""},
		{"a client of ours was cut", &Ours{Word: "unwanted", Err: io.ErrUnexpectedEOF}, "unwanted", "", ""},
		{"lags", lags, "older", "not answered", ""},
		{"abandoned by its client", context.Canceled, "abandoned", "", ""},
		{"abandoned while it was read", fmt.Errorf("%w: %w", own, context.Canceled), "abandoned", "", ""},
		{"odd", errors.New("odd"), "error", "not answered", ""},
	} {
		wrapped := tt.err
		if wrapped != nil {
			wrapped = fmt.Errorf("cannot fetch: %w", tt.err)
			b := Unanswered(wrapped)
			if always := tt.unanswered == tt.answered; b.Word != tt.word || b.Did != tt.unanswered || b.Unanswered == always || b.Guilty() == (tt.unanswered == "") || !errors.Is(b, tt.err) {
				t.Errorf("%s, unanswered: %+v", tt.name, b)
			}
		}
		b := Answered(wrapped)
		if b.Word != tt.word || b.Did != tt.answered || b.Guilty() == (tt.answered == "") || b.Unanswered {
			t.Errorf("%s, answered: %+v", tt.name, b)
		}
	}
}
