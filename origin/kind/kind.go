package kind

import (
	"errors"
	"io"
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
//   - Two requests for the same thing have equal Keys and Excerpts, and
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

// Source is what documents are made of.
type Source struct {
	Body   []byte            // a master's answer, decoded
	Beside map[string][]byte // what the same master has at Route.Beside, by path; without what it has not
	Memo   []byte            // of the stored answer it would replace; nil for none, or to believe the body whatever was stored
	Now    time.Time         // for what depends on age
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

// Class says how a request is treated.
type Class uint8

const (
	Refuse      Class = iota // answered 4xx by the edge: Status and Reason say how
	Off                      // an endpoint we know and do not offer: Status and Reason say how
	Local                    // answered by the edge itself: Status, ContentType and Reason (the body)
	PassPrimary              // to the primary and nowhere else, never stored
	PassAny                  // to any master, never stored
	Metadata                 // cacheable; read whole, checked and prepared before it is released
	File                     // cacheable; streamed
)

// Cacheable says whether responses of this class may be stored.
func (c Class) Cacheable() bool { return c == Metadata || c == File }

// Route is what a request asks for.
type Route struct {
	Class Class

	// What names the endpoint in logs and metrics, from a small fixed set:
	// "packument", "version", "tarball", "publish", "login", ….
	What string

	// Key identifies the stored response within its site, for example
	// "packument/@scope/name". Set only when the class is cacheable.
	Key string

	// Group is what a purge of one package names: "@scope/name". It may be
	// empty.
	Group string

	// Scope is the part of the registry's names it lies in, for example @acme, in
	// lower case: a site may keep such a part at masters of its own. It is ""
	// for none, and where it is not known. OtherScopes are further ones that the
	// request mentions, which must not be told to just any master either.
	Scope       string
	OtherScopes []string

	// Path is what a master is asked for: an escaped path, with its query,
	// below the master's base path; starts with "/".
	Path string

	// Moving says that a file may be another one tomorrow: it has the lifetime of
	// metadata.
	Moving bool

	// Settles says of metadata that it changes in its first hours and hardly
	// after: the longer ago it was modified, the longer it is used.
	Settles bool

	// Variant is the document of a stored response that answers this request:
	// one of those Prepare made, "" where there is only one.
	Variant string

	// Excerpt names a part of that document, for the memo to find: what is
	// wanted where it is not the whole document. Reason then goes with the 404
	// when there is no such part.
	Excerpt string

	// Beside lists paths of documents that belong to the one at Path, and are
	// fetched from the same master, so that all are of one generation.
	Beside []string

	// Strip takes what lies in private scopes out of the body of a request of
	// this route, before it goes to masters that must not hear of it; nil where
	// only the path tells. The error says that nothing is known of the body.
	Strip func(body []byte, private func(scope string) bool) ([]byte, error)

	// Filter takes what is withheld out of the body of a response to it, nil
	// where nothing is.
	Filter func(body []byte) ([]byte, error)

	// Touches lists what a successful write makes stale at once.
	Touches []Mark

	// Status, ContentType and Reason answer what never reaches a master.
	// ContentType is also that of an Excerpt, where it is not the document's.
	Status      int
	ContentType string
	Reason      string

	// Log replaces the request's path in logs when that holds a secret.
	Log string
}

// Scope says how much a Mark covers.
type Scope uint8

const (
	GroupMetadata Scope = iota // the metadata of a group
	GroupAll                   // everything of a group: metadata and files
	OneKey                     // one stored response
)

// Mark names stored responses that a write changes: a group or a key.
type Mark struct {
	Scope Scope
	Name  string
}

// Document is one form of a metadata answer, ready to be compressed and kept.
type Document struct {
	Variant     string // which form; "" where there is only one
	ContentType string
	Size        int64       // bytes that Body will write
	Body        io.WriterTo // may be written more than once, each time the same bytes

	// Until is when the same body would make another document, zero for never.
	Until time.Time

	// Needs lists paths that the document newly promises: as long as they do not
	// answer, what is stored is the better one.
	Needs []string
}

// Digest is what a file's bytes must hash to.
type Digest struct {
	Algorithm string // "sha512", "sha384", "sha256" or "sha1"; "" where only Withheld is known
	Sum       []byte

	// Withheld says why the file must not be served, "" when it may.
	Withheld string
}
