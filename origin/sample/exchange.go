package sample

import (
	"net/http"
	"strconv"
)

// Exchange is a request to a master, read whole, and the way back to its client.
type Exchange struct {
	Writer  http.ResponseWriter
	Request *http.Request
	Path    string // decoded, below the master's base: "/@scope/name" in all its forms
	Variant string // "full" or "abbreviated": the packument that Accept asks for
	Body    []byte // of the request

	master *Master
	base   string // of the URLs in documents
	below  bool   // the path is below the master's base
}

// Answer carries out the request.
func (x *Exchange) Answer() *Answer {
	a := &Answer{Fields: http.Header{}}
	if x.below {
		x.master.answer(a, &query{Request: x.Request, base: x.base, path: x.Path, body: x.Body, variant: x.Variant})
	} else {
		missing(a)
	}
	a.Fields.Del("Content-Length") // written from a.Length
	a.Length = len(a.Body)
	return a
}

// Send sends an answer in its own way.
func (x *Exchange) Send(a *Answer) {
	if a.stream != nil {
		a.stream(x, a)
		return
	}
	x.Put(x.Start(a))
}

// Start sends the header, and returns the body that is to follow it.
func (x *Exchange) Start(a *Answer) []byte {
	for key, values := range a.Fields {
		x.Writer.Header()[key] = values
	}
	body := a.Body
	if a.bodiless() {
		body = nil
	} else {
		x.Writer.Header().Set("Content-Length", strconv.Itoa(a.Length))
	}
	if x.Request.Method == http.MethodHead {
		body = nil
	}
	x.Writer.WriteHeader(a.Status)
	return body
}

// Put writes bytes of the body. A client that has left ends the handler.
func (x *Exchange) Put(p []byte) {
	if _, err := x.Writer.Write(p); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Flush sends to the client all that was written so far.
func (x *Exchange) Flush() {
	if err := http.NewResponseController(x.Writer).Flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Cut ends the connection. Bytes that were written may not have left: flush first.
func (x *Exchange) Cut() { panic(http.ErrAbortHandler) }
