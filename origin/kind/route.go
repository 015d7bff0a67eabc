package kind

// Class says how a request is treated.
type Class uint8

const (
	Refuse      Class = iota // answered 4xx by the edge: Reply says how
	Off                      // an endpoint we know and do not offer: Reply says how
	Local                    // answered by the edge itself, with Reply
	PassPrimary              // to the primary and nowhere else, never stored
	PassAny                  // to any master, never stored
	Metadata                 // cacheable; read whole, checked and prepared before it is released
	File                     // cacheable; streamed
)

// Cacheable says whether responses of this class may be stored.
func (c Class) Cacheable() bool { return c == Metadata || c == File }

// Route names the thing that a request asks for, and how to treat the request.
type Route struct {
	Class Class

	// Endpoint names the endpoint in logs and metrics, from a small fixed set:
	// "packument", "version", "tarball", "publish", "login", ….
	Endpoint string

	// Key identifies the stored response within its site, for example
	// "packument/@scope/name". Set only when the class is cacheable.
	Key string

	// Group is the package, "@scope/name", that a purge names. It may be empty.
	Group string

	// Scope is the part of the registry's names it lies in, for example @acme, in
	// lower case: a site may keep such a part at masters of its own. It is ""
	// for none, and where it is not known. OtherScopes are further ones that the
	// request mentions, which must not be told to just any master either.
	Scope       string
	OtherScopes []string

	// Account says whether the request is about the client's own account. A site has one
	// registry that answers those.
	Account Account

	// Path is the path that a master is asked for: escaped, with its query, below
	// the master's base path. It starts with "/".
	Path string

	// Moving says that a file may be another one tomorrow: it has the lifetime of
	// metadata.
	Moving bool

	// Transparent says that the request goes forward as it is and that the response
	// comes back as it is, redirects and errors included. All cacheable routes of a
	// transparent kind are, see [Descriptor.Transparent].
	Transparent bool

	// InFeed says that it is the document which a change feed names by its Group.
	InFeed bool

	// Settles says of metadata that it changes in its first hours and hardly
	// after: the longer ago it was modified, the longer it is used.
	Settles bool

	// Variant is the document of a stored response that answers this request:
	// one of those Prepare made, "" where there is only one.
	Variant string

	// Subdocument is the part of that document which is asked for, where it is not
	// the whole of it.
	Subdocument Subdocument

	// Companions lists paths of documents that belong to the one at Path, and are
	// fetched from the same master, so that all are of one generation.
	Companions []string

	// Strips says that the body of the request may name private scopes, and Filters
	// that the response may name packages that the site withholds: see [Redactor].
	Strips, Filters bool

	// Links are the URLs in a JSON response that passes which the client's program
	// follows, as JSON pointers in which "*" is any part: "/urls/next". Those of the
	// master that answers are given at the site's own URL, where they can be asked for
	// there. URLs for a person's browser are not among them.
	Links []string

	// Invalidates lists the stored responses that a write makes stale.
	Invalidates []Invalidation

	// Reply answers a request that never reaches a master.
	Reply Reply

	// Log replaces the request's path in logs when that holds a secret.
	Log string
}

// Account is the part that the client's own account has in a request.
type Account uint8

const (
	NoAccount   Account = iota
	LogsIn              // a step of a login, for which no token is needed
	AsksAccount         // about the account that the request's token is of: its name, its profile, its tokens
)

// Subdocument is a part of a document.
type Subdocument struct {
	Name        string // for the summary to find, see [FindSubdocument]; "" for the whole document
	ContentType string // "" for that of the document
	Missing     string // the reason that goes with the 404 when there is no such part
	Withheld    string // the summary's line with the reason for which there is none, "" for no such line
}

// Reply is an answer that the edge gives by itself.
type Reply struct {
	Status      int
	ContentType string
	Text        string // the body; of a refusal, the reason in one line
}

// Scope says how much an Invalidation covers.
type Scope uint8

const (
	GroupMetadata Scope = iota // the metadata of a group
	GroupAll                   // everything of a group: metadata and files
	OneKey                     // one stored response
)

// Invalidation names stored responses that a write changes: a group or a key.
type Invalidation struct {
	Scope Scope
	Name  string
}
