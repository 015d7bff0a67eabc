package kind

import (
	"errors"
	"net/http"
	"time"
)

// Kind knows one sort of registry. Every method is a pure function of its
// arguments and of what was given at construction: no clock, no network, no
// disk. A Kind is safe for concurrent use.
//
// The contract, which the conformance suite in kindtest checks:
//   - Route never fails and never panics, whatever bytes arrive: what it cannot
//     name it refuses with a 4xx and one clear line.
//   - Two requests for the same thing have equal Keys and Subdocuments, and
//     different things differ in one of them.
//   - Prepare returns an error for a body that must not replace a good one: not
//     what the route promises, empty, cut, or an error page served as 200; and
//     [ErrOlder] or [ErrLost] for one that is worse than what is stored.
//   - Digest is only asked for a File route, with the bytes of the document
//     that Prepare named Memo for a route that Lists returned: the first one
//     that there is.
type Kind interface {
	Route(Request) Route
	Prepare(Route, Source) ([]Document, error)
	Lists(file Route) []Route
	Digest(file Route, memo []byte) (d Digest, ok bool)
}

// Redactor is a Kind that takes names out of bodies on their way.
//
//   - Strip takes those in private scopes out of the body of a request whose route
//     has Strips, before it goes to masters that must not hear of them. The error
//     says that nothing is known of the body, which must not be sent then.
//   - Filter takes those that the site withholds out of the body of a response
//     whose route has Filters.
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

// Source is what documents are made of.
type Source struct {
	Body       []byte            // a master's answer, decoded
	Companions map[string][]byte // what the same master has at Route.Beside, by path; without what it has not
	Summary    []byte            // of the stored answer it would replace; nil for none, or to believe the body whatever was stored
	Now        time.Time         // for what depends on age
}

var (
	// ErrOlder is a body that is older than what is stored, or has lost most of
	// it without being newer. It never replaces that, whoever sends it.
	ErrOlder = errors.New("older than what is stored")
	// ErrLost is a newer body that lacks something stored. Things are deleted,
	// so it is to be believed of a master that must know, or of two.
	ErrLost = errors.New("lacks something that is stored")
)

// Request is the part of a client's request that decides its route.
type Request struct {
	Method string
	Path   string      // as sent, still escaped, below the site's prefix; starts with "/"
	Query  string      // raw, without "?"
	Header http.Header // read only
}
