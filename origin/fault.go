package origin

import (
	"errors"
	"pkgedge/origin/transport"
	"strconv"
)

// fault is one way in which a master fails a request, in words that follow "was"
// or "were".
type fault struct {
	words      string
	unanswered bool // not even a response's fields came
}

// slowFault is an answer that came, but far later than the others' do.
var slowFault = fault{words: "answered too slowly"}

// silence is the fault of a master that gave no response.
func silence(err error) fault {
	words := "not answered"
	switch reason(err) {
	case "redirects", "private", "fields": // it did answer
		f, _ := misdeed(err)
		return f
	case "timeout":
		words = "not answered in time"
	case "refused":
		words = "refused a connection"
	case "cut":
		words = "cut off before an answer"
	}
	return fault{words, true}
}

// misdeed is the fault of a master whose response was no good, or none where it
// is not to blame: a master that lags, or has a document too large for us, is as
// well as it was.
func misdeed(err error) (fault, bool) {
	if err == nil {
		return fault{}, false
	}
	var status *transport.StatusError
	if errors.As(err, &status) {
		if transport.Absence(status.Status) {
			return fault{}, false
		}
		return fault{words: "answered " + strconv.Itoa(status.Status)}, true
	}
	words := ""
	switch reason(err) {
	case "stalled":
		words = "stalled mid-body"
	case "timeout", "cut":
		words = "cut mid-body"
	case "digest":
		words = "answered with a wrong file"
	case "metadata", "gzip", "unasked":
		words = "answered with unusable metadata"
	case "file":
		words = "answered with an unusable file"
	case "redirects":
		words = "redirected in circles"
	case "private":
		words = "redirected to a private address"
	case "fields":
		words = "answered with too long a header"
	default:
		return fault{}, false
	}
	return fault{words: words}, true
}
