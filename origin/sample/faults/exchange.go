package faults

import (
	"bytes"
	"net/http"
	"strconv"

	"pkgedge/origin/sample"
)

// exchange is a request with the answer that was made for it.
type exchange struct {
	*sample.Exchange
	answer *sample.Answer
}

// part sends the headers and at most n bytes of the body.
func (x exchange) part(n int) {
	body := x.Start(x.answer)
	x.Put(body[:min(n, len(body))])
	x.Flush()
}

// wait waits for one step of the gate.
func (x exchange) wait(g *Gate) {
	if g.pass(x.Request.Context()) != nil {
		x.Cut()
	}
}

// hang waits for the client to leave or the server to close, and cuts.
func (x exchange) hang() {
	<-x.Request.Context().Done()
	x.Cut()
}

// hijacked sends bytes that are no valid response, over the bare connection,
// and closes it: at once, or when its client goes away or the server closes.
func (x exchange) hijacked(wire []byte, hang bool) {
	conn, _, err := http.NewResponseController(x.Writer).Hijack()
	if err != nil {
		x.Cut()
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
	case <-x.Request.Context().Done():
		conn.Close()
		<-gone
	}
}

// wire is the answer as bytes, with a Content-Length that may be a lie.
func (x exchange) wire() []byte {
	var out bytes.Buffer
	a := x.answer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(a.Status) + " " + http.StatusText(a.Status) + "\r\n")
	a.Fields.Write(&out) // a Buffer never fails
	out.WriteString("Content-Length: " + strconv.Itoa(a.Length) + "\r\n\r\n")
	if x.Request.Method != http.MethodHead {
		out.Write(a.Body)
	}
	return out.Bytes()
}
