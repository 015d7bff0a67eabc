package sample

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/origin/sample/ordered"
)

// packages answers below /{name}.
func (m *Master) packages(w *Answer, q *query, name string, rest []string) {
	_, known := m.store.accounts.User(q.token())
	if !known && (private(name) || !q.reads()) {
		unauthorized(w)
		return
	}
	switch {
	case q.reads() && len(rest) == 0:
		m.packument(w, q, name)
	case q.reads() && len(rest) == 1:
		m.version(w, q, name, rest[0])
	case q.reads():
		missing(w)
	default:
		m.write(w, q, name, rest)
	}
}

// packument answers GET /{name}, in the form that Accept asks for.
func (m *Master) packument(w *Answer, q *query, name string) {
	p := m.content().packages[name]
	if p == nil {
		missing(w)
		return
	}
	doc, kind := p.full, "application/json"
	if q.variant == "abbreviated" {
		doc, kind = p.abbreviated, abbreviatedType
	}
	if q.URL.Query().Get("write") == "true" {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(rebase(p.full, q.base))
		return
	}
	f := m.form(doc, q.base, gzipped(q.Header.Get("Accept-Encoding")), w.Header())
	w.Header().Set("Content-Type", kind)
	m.document(w, q, f, name, p.modified)
	if w.Status == http.StatusNotModified {
		w.Header().Set("Vary", "Accept-Encoding") // less than on the 200, as the public one does
	}
}

// version answers GET /{name}/{version or tag}.
func (m *Master) version(w *Answer, q *query, name, wanted string) {
	p := m.content().packages[name]
	if p == nil {
		missing(w)
		return
	}
	v, ok := p.resolve(wanted)
	if !ok {
		say(w, http.StatusNotFound, "version not found: "+wanted)
		return
	}
	doc, err := ordered.Encode(v.manifest)
	if err != nil {
		fail(w, err)
		return
	}
	doc = rebase(doc, q.base)
	w.Header().Set("Content-Type", "application/json")
	m.document(w, q, form{doc, etag(doc)}, name, p.modified)
}

// document writes cacheable metadata, conditionally.
func (m *Master) document(w *Answer, q *query, f form, name string, modified time.Time) {
	w.Header().Set("Etag", f.etag)
	w.Header().Set("Vary", "Accept-Encoding, Accept")
	switch {
	case private(name):
		w.Header().Set("Cache-Control", "private, max-age=300")
	case m.policy != "":
		w.Header().Set("Cache-Control", m.policy)
	}
	w.serve(q, f.body, modified)
}

// file answers with a stored file.
func (m *Master) file(w *Answer, q *query, f *file) {
	name, _ := split(strings.Split(strings.Trim(q.path, "/"), "/"))
	if private(name) {
		if _, known := m.store.accounts.User(q.token()); !known {
			unauthorized(w)
			return
		}
	}
	for key, values := range f.header {
		w.Header()[key] = values
	}
	if private(name) {
		w.Header().Set("Cache-Control", "private, max-age=300")
	}
	w.serve(q, f.body, f.modified)
}

// form is a stored packument with the master's base, gzipped or not; it sets
// Content-Encoding. Each coding has an ETag of its own: strong validators must
// differ where the bytes do, RFC 9110 section 8.8.1.
func (m *Master) form(doc []byte, base string, zip bool, header http.Header) form {
	if zip {
		header.Set("Content-Encoding", "gzip")
	}
	key := formKey{&doc[0], base, zip}
	m.forms.mu.Lock()
	f, ok := m.forms.made[key]
	m.forms.mu.Unlock()
	if ok {
		return f
	}
	f.body = rebase(doc, base)
	f.etag = etag(f.body)
	if zip {
		f.body = compressed(f.body)
		f.etag = strings.TrimSuffix(f.etag, `"`) + `-gzip"`
	}
	m.forms.mu.Lock()
	defer m.forms.mu.Unlock()
	if m.forms.made == nil || len(m.forms.made) >= maxForms {
		m.forms.made = map[formKey]form{}
	}
	m.forms.made[key] = f
	return f
}

// rebase puts a master's base URL in the place of home.
func rebase(doc []byte, base string) []byte {
	return bytes.ReplaceAll(doc, []byte(home), []byte(base))
}

func compressed(body []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	zip.Write(body) // a Buffer never fails
	zip.Close()
	return out.Bytes()
}

// write answers the requests that change a package.
func (m *Master) write(w *Answer, q *query, name string, rest []string) {
	var err error
	switch {
	case q.Method == http.MethodPut && len(rest) == 0:
		err = m.put(q, name, func(sub *submission) error { return m.store.submit(sub) })
	case q.Method == http.MethodPut && len(rest) == 2 && rest[0] == "-rev":
		err = m.put(q, name, func(sub *submission) error { return m.store.replace(sub, rest[1]) })
	case q.Method == http.MethodDelete && len(rest) == 2 && rest[0] == "-rev":
		err = m.store.remove(name, rest[1])
	case q.Method == http.MethodDelete && len(rest) == 4 && slices.Equal([]string{rest[0], rest[2]}, []string{"-", "-rev"}):
		err = m.store.removeTarball(name, rest[1], rest[3])
	default:
		refuse(w, http.StatusMethodNotAllowed, "Method not allowed")
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	status := http.StatusOK
	if q.Method == http.MethodPut {
		status = http.StatusCreated
	}
	say(w, status, map[string]any{"ok": true, "success": true})
}

// put reads the package document in the body and hands it on.
func (m *Master) put(q *query, name string, carry func(*submission) error) error {
	sub, err := readSubmission(q.body)
	if err != nil {
		return err
	}
	if sub.name != name {
		return ErrInvalid
	}
	return carry(sub)
}
