package kind

import (
	"math"
	"slices"
	"time"
)

// Descriptor is a kind as the rest of the house sees it: plain data, and functions
// without state. Everything outside the folder of a kind that depends on the kind
// asks here, so that no other code compares a name.
type Descriptor struct {
	// Name is the word for it in the configuration and the status.
	Name string

	// New makes the kind for one site.
	New func(Options) (Kind, error)

	// Defaults are the lifetimes of a site that states none.
	Defaults Defaults

	// Keys are those of a site's configuration that this kind alone understands.
	Keys []Key

	// Scoped says that names lie in scopes, which a site may keep at masters of
	// their own.
	Scoped bool

	// Dated says that its documents tell when a version was published, so that a
	// site may have a minimum release age.
	Dated bool

	// Exempt returns an error for an entry that names nothing to exempt from the minimum
	// age. It is there where a kind is Dated.
	Exempt func(entry string) error

	// Transparent says that a site is a cache as RFC 9111 has it and no more: it
	// does as its clients and its origin say.
	Transparent bool

	// OneLifetime says that masters state one lifetime for all of their paths, too
	// long for metadata and too short for files that never change. Then metadata
	// lives for its configured time at most, and files live for theirs exactly.
	OneLifetime bool

	// Writes says that masters take writes, of which a site has none without its
	// primary.
	Writes bool

	// Ping is a path that a healthy master answers with JSON or with nothing; "" for
	// none.
	Ping string

	// ProbePath returns a path by which a master can be probed that has just given
	// the document of a route, "" for none. It may be nil.
	ProbePath func(Route) string

	// ChangePath returns the escaped path of the document that a change feed means
	// by a name. It is nil where there are no change feeds.
	ChangePath func(name string) string

	// GroupOf returns the Group of a cacheable route with that Key. It is nil where no
	// route has a group.
	GroupOf func(key string) string

	// PrivateFields are fields of requests that may name a private scope. A site
	// with private scopes does not send them on.
	PrivateFields []string

	// Samples says that the embedded sample masters are of this kind, and so is the
	// site that an empty configuration has.
	Samples bool

	// Lockfiles says that "edge warm" reads the lock files of its clients.
	Lockfiles bool

	// Install is the command by which a client installs a package, with %s for the
	// URL of the site; "" for none.
	Install string

	// Clients returns the lines by which clients use a site, whose URL has no final slash. It is nil
	// where each client has a way of its own.
	Clients func(url string) []Client
}

// Client is how one client, or several, is pointed at a site.
type Client struct {
	Name  string
	Where string // the file in which the lines stand, or another place for them
	Lines string
}

// Options are a site's choices.
type Options struct {
	PublicBase string        // URL under which clients reach the site, without a final slash
	MinimumAge time.Duration // how long ago a version must have been published; 0 is any
	Exempt     []string      // from that: packages, scopes and versions in the kind's words
	Settings   Settings      // by the names of the kind's keys
}

// Forever is a lifetime without end: the largest time.Duration. Compare with it,
// and never add it to a time.
const Forever time.Duration = math.MaxInt64

// Heuristic is a lifetime that follows from a response's age where the origin does
// not say (RFC 9111 section 4.2.2).
const Heuristic time.Duration = -2

// Defaults are lifetimes. [Forever] and [Heuristic] are two.
type Defaults struct {
	Metadata, Files, Missing time.Duration

	// How long a stale response may still be used: while a master is asked in the
	// background, and when none answers.
	WhileRevalidate, IfError time.Duration

	// StaleOverride makes these two hold even where a master forbids it.
	StaleOverride bool
}

// ByName returns the descriptor of a name, nil for none.
func ByName(kinds []Descriptor, name string) *Descriptor {
	i := slices.IndexFunc(kinds, func(d Descriptor) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &kinds[i]
}
