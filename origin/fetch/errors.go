package fetch

import (
	"bytes"
	"errors"
	"fmt"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/verify"
)

// The faults of an answer, each with its word for the metrics and its blame.
var (
	// errUnasked is a 304 to a request without validators.
	errUnasked = &health.Blame{Word: "unasked", Did: didMetadata, Err: errors.New("304 to an unconditional request")}

	errMetadata = &health.Blame{Word: "metadata", Did: didMetadata, Err: errors.New("unusable metadata")}
	errGzip     = &health.Blame{Word: "gzip", Did: didMetadata, Err: fmt.Errorf("%w: bad gzip", errMetadata)}
	// A document too large for us is not its master's fault.
	errTooLarge = &health.Blame{Word: "large", Err: fmt.Errorf("%w: too large", errMetadata)}
	errLarge    = &health.Blame{Word: "large", Err: errors.New("too large")}
)

const didMetadata = "answered with unusable metadata"

// errPage is a page for people in the place of a file.
var errPage = &health.Blame{Word: "page", Did: "answered with an HTML page instead of a file", Err: fmt.Errorf("%w: it is a page of HTML", verify.ErrFile)}

// isPage says whether an answer that is no good begins as a page for people does.
func isPage(body []byte) bool {
	begin := bytes.TrimLeft(body[:min(len(body), 1<<10)], "\ufeff \t\r\n")
	return bytes.HasPrefix(begin, []byte("<")) && !bytes.HasPrefix(begin, []byte("<?xml"))
}

// unprepared is the error for a document that a kind does not accept. A master that
// merely lags is as well as it was.
func unprepared(r kind.Route, body []byte, err error) error {
	wrapped := fmt.Errorf("%w: %w", errMetadata, err)
	switch {
	case isPage(body) && r.Group != "":
		return &health.Blame{Word: "page", Did: "answered with an HTML page instead of a package document", Err: wrapped}
	case isPage(body):
		return &health.Blame{Word: "page", Did: "answered with an HTML page instead of a document", Err: wrapped}
	case errors.Is(err, kind.ErrLost):
		return &health.Blame{Word: "lost", Err: wrapped}
	case errors.Is(err, kind.ErrOlder):
		return &health.Blame{Word: "older", Err: wrapped}
	}
	return wrapped
}
