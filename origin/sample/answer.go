package sample

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// answer is a whole response before it is sent. It is a ResponseWriter, for
// the handlers to write to; faults then change it, or the way it leaves.
type answer struct {
	status int
	header http.Header
	body   []byte
	length int            // of Content-Length
	send   func(exchange) // how it leaves; nil for at once, as a whole
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// serve writes body as a request's conditions (RFC 9110 section 13) and ranges
// (section 14) want it, and puts back the Last-Modified that net/http takes off
// a 304.
func (a *answer) serve(q *query, body []byte, modified time.Time) {
	a.body = make([]byte, 0, len(body))
	http.ServeContent(a, q.Request, "", modified, bytes.NewReader(body))
	if a.status == http.StatusNotModified {
		a.header.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	}
}

// bodiless says whether the status lets no body follow, RFC 9110 section 6.4.1.
func (a *answer) bodiless() bool {
	return a.status == http.StatusNotModified || a.status == http.StatusNoContent
}

// exchange is an answer on its way out.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
	a *answer
}

// start writes the header and tells the body that follows it.
func (x exchange) start() []byte {
	for key, values := range x.a.header {
		x.w.Header()[key] = values
	}
	body := x.a.body
	if x.a.bodiless() {
		body = nil
	} else {
		x.w.Header().Set("Content-Length", strconv.Itoa(x.a.length))
	}
	if x.r.Method == http.MethodHead {
		body = nil
	}
	x.w.WriteHeader(x.a.status)
	return body
}

// finish sends the answer as it should be sent.
func (x exchange) finish() { x.put(x.start()) }

// put writes bytes of the body; a client that left ends the handler.
func (x exchange) put(p []byte) {
	if _, err := x.w.Write(p); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// flush sends what was written so far to the client.
func (x exchange) flush() {
	if err := http.NewResponseController(x.w).Flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// cut ends the connection. What was written may not have left: flush first.
func (x exchange) cut() { panic(http.ErrAbortHandler) }

// hang waits for the client to leave or the server to close, and cuts.
func (x exchange) hang() {
	<-x.r.Context().Done()
	x.cut()
}

// hijacked sends bytes that are no valid response, over the bare connection,
// and closes it: at once, or when its client goes away or the server closes.
func (x exchange) hijacked(wire []byte, hang bool) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.cut()
	}
	defer conn.Close()
	if _, err := conn.Write(wire); err != nil || !hang {
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var b [512]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	select {
	case <-gone:
	case <-x.r.Context().Done():
		conn.Close()
		<-gone
	}
}

// wire is the answer as bytes, with a Content-Length that may be a lie.
func (x exchange) wire() []byte {
	var out bytes.Buffer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(x.a.status) + " " + http.StatusText(x.a.status) + "\r\n")
	x.a.header.Write(&out) // a Buffer never fails
	out.WriteString("Content-Length: " + strconv.Itoa(x.a.length) + "\r\n\r\n")
	if x.r.Method != http.MethodHead {
		out.Write(x.a.body)
	}
	return out.Bytes()
}

// say writes a small JSON answer that nothing may keep.
func say(w *answer, status int, v any) {
	body, err := encode(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"Internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// refuse writes an error in the registry's form.
func refuse(w *answer, status int, why string) {
	say(w, status, map[string]string{"error": why})
}

func missing(w *answer) { refuse(w, http.StatusNotFound, "Not found") }

func unauthorized(w *answer) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(w, http.StatusUnauthorized, "Unauthorized")
}

// fail writes the error of a write.
func fail(w *answer, err error) {
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
