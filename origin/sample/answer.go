package sample

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"pkgedge/origin/sample/ordered"
)

// Answer is a whole response before it is sent. It is a ResponseWriter, for the
// handlers to write to.
type Answer struct {
	Status int
	Fields http.Header
	Body   []byte
	Length int // of Content-Length

	stream func(*Exchange, *Answer) // how it leaves; nil for at once, as a whole
}

func (a *Answer) Header() http.Header { return a.Fields }

func (a *Answer) WriteHeader(status int) {
	if a.Status == 0 {
		a.Status = status
	}
}

func (a *Answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.Body = append(a.Body, p...)
	return len(p), nil
}

// serve writes body as a request's conditions (RFC 9110 section 13) and ranges
// (section 14) want it, and puts back the Last-Modified that net/http takes off
// a 304.
func (a *Answer) serve(q *query, body []byte, modified time.Time) {
	a.Body = make([]byte, 0, len(body))
	http.ServeContent(a, q.Request, "", modified, bytes.NewReader(body))
	if a.Status == http.StatusNotModified {
		a.Fields.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	}
}

// bodiless says whether the status lets no body follow, RFC 9110 section 6.4.1.
func (a *Answer) bodiless() bool {
	return a.Status == http.StatusNotModified || a.Status == http.StatusNoContent
}

// say writes a small JSON answer that nothing may keep.
func say(w *Answer, status int, v any) {
	body, err := ordered.Encode(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"Internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// refuse writes an error in the registry's form.
func refuse(w *Answer, status int, why string) {
	say(w, status, map[string]string{"error": why})
}

func missing(w *Answer) { refuse(w, http.StatusNotFound, "Not found") }

func unauthorized(w *Answer) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(w, http.StatusUnauthorized, "Unauthorized")
}

// fail writes the error of a write.
func fail(w *Answer, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		missing(w)
	case errors.Is(err, ErrConflict):
		refuse(w, http.StatusConflict, "Document update conflict.")
	case errors.Is(err, ErrExists):
		refuse(w, http.StatusForbidden, err.Error())
	default:
		refuse(w, http.StatusBadRequest, err.Error())
	}
}
