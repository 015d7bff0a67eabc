package kind

import (
	"errors"
	"net/http"
	"time"
)

// Kind knows one sort of registry. Every method is a pure function of its
// arguments and of the [Options] it was made with: no clock, no network, no disk.
// A Kind is safe for concurrent use.
//
// The contract, which the conformance suite in kindtest checks:
//   - Route never fails and never panics, on any bytes. A request that it cannot
//     name is refused with a 4xx and one clear line.
//   - Two requests for the same thing have equal Keys and Subdocuments, and
//     different things differ in one of them.
//   - Prepare returns an error for a body that must not replace a good one: one
//     that its route does not promise, that is empty or cut, or an error page
//     served as 200. It returns [ErrOlder] or [ErrLost] for a body that is worse
//     than the stored one, and [ErrAbsent] for one that says that there is none. A body
//     that is odd, and is its master's true answer all the same, is accepted.
//   - Digest is asked for a File route alone, with the [Summary] of the first route
//     of Lists that a master has. ok says that the list names the file.
type Kind interface {
	Route(Request) Route
	Prepare(Route, Source) ([]Document, error)
	Lists(file Route) []Route
	Digest(file Route, summary []byte) (d Digest, ok bool)
}

// Redactor is a Kind that takes names out of the bodies that pass the edge.
//
//   - Strip takes the names in private scopes out of the body of a request whose
//     route has Strips, before it goes to masters that must not hear of them. An
//     error means that nothing is known of the body: it must not be sent.
//   - Filter takes the names that the site withholds out of the body of a response
//     to a route that has Filters.
//
// Both return the body itself when there is nothing to take out, and do not change
// it.
type Redactor interface {
	Strip(r Route, body []byte, private func(scope string) bool) ([]byte, error)
	Filter(r Route, body []byte) ([]byte, error)
}

// Withholder is a Kind that may withhold files which its masters have. While
// Withholds is true, no file is served before Digest has been asked about it.
type Withholder interface {
	Withholds() bool
}

// Source is a master's answer, and the rest that documents are made of.
type Source struct {
	Body       []byte            // a master's answer, decoded
	Companions map[string][]byte // by the paths of Route.Companions that the same master has
	Base       string            // the URL of that master, without a final slash; "" where it is not known
	Summary    []byte            // of the stored answer that the body would replace; nil for none, or to believe the body in any case
	Now        time.Time         // ages are counted to this moment
}

var (
	// ErrOlder is a body that is older than the stored one, or has lost most of it
	// without being newer. It never replaces the stored one, from any master.
	ErrOlder = errors.New("older than what is stored")
	// ErrLost is a newer body that lacks something stored. Packages are deleted, so
	// it is believed of the primary, or of two masters.
	ErrLost = errors.New("lacks something that is stored")
	// ErrAbsent is a body from which it follows that there is no such thing as was asked
	// for. It counts as a 404 of its master.
	ErrAbsent = errors.New("there is no such thing")
)

// Request is the part of a client's request that decides its route.
type Request struct {
	Method string
	Path   string      // as sent, still escaped, below the site's prefix; starts with "/"
	Query  string      // raw, without "?"
	Header http.Header // read only
}
