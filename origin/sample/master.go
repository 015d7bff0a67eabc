package sample

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// maxUpload is the most bytes of a request's body.
const maxUpload = 64 << 20

// Master is one master of the registry: an [http.Handler] over a [Store]. It is
// safe for concurrent use. Its tarball URLs are below the Host of the request, or below [Server.URL] behind
// [Master.Start].
type Master struct {
	store   *Store
	prefix  string // "" or "/registry"
	policy  string // Cache-Control of metadata
	longest int64  // bytes of a request's body

	intercept func(*Exchange) // see Options

	behind atomic.Pointer[content] // the content that a lagging master still serves
	forms  forms
}

// Options are choices at the making of a [Master]. The zero value is a sound one.
type Options struct {
	// Base is a path such as "/registry" that the registry is mounted below.
	Base string

	// CacheControl is that of metadata: "" for "public, max-age=300", and "none"
	// for no such field.
	CacheControl string

	// Intercept is given each request in the place of the master, and answers it:
	// by Answer and Send of the exchange, or in another way. It may be nil.
	Intercept func(*Exchange)
}

// NewMaster makes a master that serves store.
func NewMaster(store *Store, o Options) *Master {
	m := &Master{store: store, policy: cmp.Or(o.CacheControl, "public, max-age=300"), longest: maxUpload, intercept: o.Intercept}
	if o.CacheControl == "none" {
		m.policy = ""
	}
	m.prefix = strings.TrimSuffix("/"+strings.Trim(o.Base, "/"), "/")
	return m
}

// Store returns the store that the master serves.
func (m *Master) Store() *Store { return m.store }

// Lag makes the master read the content as it is now until [Master.CatchUp],
// as a replica does that no longer follows. Writes still go to the store.
func (m *Master) Lag() { m.behind.Store(m.store.content.Load()) }

// CatchUp ends a [Master.Lag].
func (m *Master) CatchUp() {
	m.behind.Store(nil)
	m.store.notifier.notify()
}

func (m *Master) content() *content {
	if old := m.behind.Load(); old != nil {
		return old
	}
	return m.store.content.Load()
}

// ServeHTTP answers one request.
func (m *Master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.serve(w, r, "http://"+r.Host+m.prefix)
}

// serve answers below the base URL that documents are to have.
func (m *Master) serve(w http.ResponseWriter, r *http.Request, base string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, m.longest))
	if err != nil {
		http.Error(w, "Body too large", http.StatusRequestEntityTooLarge)
		return
	}
	path, below := m.below(r.URL)
	x := &Exchange{
		Writer: w, Request: r, Path: path, Variant: variant(r.Header.Get("Accept")), Body: body,
		master: m, base: base, below: below,
	}
	if m.intercept != nil {
		m.intercept(x)
		return
	}
	x.Send(x.Answer())
}

// below is the decoded path of a URL below the master's base.
func (m *Master) below(u *url.URL) (path string, ok bool) {
	path, ok = strings.CutPrefix(u.Path, m.prefix)
	if ok && path == "" {
		path = "/"
	}
	return path, ok && strings.HasPrefix(path, "/")
}

// query is a request below the base.
type query struct {
	*http.Request
	base    string
	path    string
	body    []byte
	variant string
}

// answer carries out a request.
func (m *Master) answer(w *Answer, q *query) {
	if q.reads() {
		// Answers are made as for GET; a HEAD loses the body when it is sent.
		get := *q.Request
		get.Method = http.MethodGet
		q.Request = &get
		if f := m.content().files[q.path]; f != nil {
			m.file(w, q, f)
			return
		}
	}
	parts := strings.Split(strings.Trim(q.path, "/"), "/")
	switch {
	case q.path == "/":
		w.Header().Set("Cache-Control", "public, immutable, max-age=31557600") // as the public one does
		say(w, http.StatusOK, struct{}{})
	case parts[0] == "-":
		m.service(w, q, parts[1:])
	case q.path == "/_changes" && q.reads():
		m.changes(w, q)
	default:
		name, rest := split(parts)
		m.packages(w, q, name, rest)
	}
}

func (q *query) reads() bool { return q.Method == http.MethodGet || q.Method == http.MethodHead }

// token is the bearer token of a request, "" without one.
func (q *query) token() string {
	token, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	return token
}

// split takes a package's name off the front of a decoded path.
func split(parts []string) (name string, rest []string) {
	if strings.HasPrefix(parts[0], "@") && len(parts) > 1 {
		return parts[0] + "/" + parts[1], parts[2:]
	}
	return parts[0], parts[1:]
}

// forms keeps the packuments a master rendered, and their gzip form, by the
// stored document they came from.
type forms struct {
	mu   sync.Mutex
	made map[formKey]form
}

// maxForms bounds forms; they are dropped together.
const maxForms = 64

type formKey struct {
	doc     *byte // of the stored document, which never changes
	base    string
	gzipped bool
}

type form struct {
	body []byte
	etag string
}
