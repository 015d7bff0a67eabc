package sample

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// maxUpload bounds a request's body, in bytes.
const maxUpload = 64 << 20

// Master is one master of the registry: an [http.Handler] over a [Store]. It is
// safe for concurrent use, and its faults may change while it serves. Its
// tarball URLs are below the Host of the request, or below [Server.URL] behind
// [Master.Start].
type Master struct {
	store  *Store
	prefix string // "" or "/registry"
	policy string // Cache-Control of metadata

	behind  atomic.Pointer[content] // what a lagging master still serves
	journal journal
	faults  rules
	forms   forms
}

// Option is a choice at the making of a [Master].
type Option func(*Master)

// Under mounts the registry below a base path such as "/registry".
func Under(path string) Option {
	return func(m *Master) { m.prefix = strings.TrimSuffix("/"+strings.Trim(path, "/"), "/") }
}

// CacheControl is the Cache-Control of metadata in the place of
// "public, max-age=300". Empty sends none.
func CacheControl(value string) Option { return func(m *Master) { m.policy = value } }

// NewMaster makes a master that serves store.
func NewMaster(store *Store, options ...Option) *Master {
	m := &Master{store: store, policy: "public, max-age=300"}
	for _, option := range options {
		option(m)
	}
	return m
}

// Store is what the master serves.
func (m *Master) Store() *Store { return m.store }

// Lag makes the master read the content as it is now until [Master.CatchUp],
// as a replica does that no longer follows. Writes still go to the store.
func (m *Master) Lag() { m.behind.Store(m.store.content.Load()) }

// CatchUp ends what [Master.Lag] began.
func (m *Master) CatchUp() {
	m.behind.Store(nil)
	m.store.news.tell()
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
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "Body too large", http.StatusRequestEntityTooLarge)
		return
	}
	path, below := m.below(r.URL)
	rec := Record{
		Method: r.Method, Path: path, Raw: r.RequestURI, Query: r.URL.RawQuery,
		Variant: variant(r.Header.Get("Accept")), Header: r.Header.Clone(),
		Host: r.Host, Remote: r.RemoteAddr, Body: body[:min(len(body), maxRecordBody)],
	}
	faults := m.faults.take(rec)
	var a *answer
	for _, f := range faults {
		if f.instead != nil {
			a = f.instead(r)
			break
		}
	}
	if a == nil {
		a = &answer{header: http.Header{}}
		if below {
			m.answer(a, &query{Request: r, base: base, path: path, body: body, variant: rec.Variant})
		} else {
			missing(a)
		}
	}
	a.header.Del("Content-Length") // written from a.length
	a.length = len(a.body)
	send := exchange.finish
	if a.send != nil {
		send = a.send
	}
	for _, f := range faults {
		if f.change != nil {
			f.change(a)
		}
		if f.send != nil {
			send = f.send
		}
	}
	m.journal.add(rec) // only now: who waits for it may rely on the answer being made
	send(exchange{w: w, r: r, a: a})
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
func (m *Master) answer(w *answer, q *query) {
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
