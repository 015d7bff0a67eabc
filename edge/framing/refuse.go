package framing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	refusalLimit = 5 * time.Second // for the answer to a request that is refused
	// linger is how long the client's bytes are read after that. A close with unread bytes
	// resets the connection, and the client may never see the answer.
	linger      = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// refuse ends the connection. A head that is refused is answered here: no handler is at
// work. A body's error is its handler's.
func (c *Conn) refuse(reason error) {
	if c.stage == atHead {
		c.tell(reason)
		c.Conn.SetWriteDeadline(time.Now().Add(refusalLimit))
		if _, err := io.WriteString(c.Conn, refusal(reason)); err == nil && c.CloseWrite() == nil {
			c.Conn.SetReadDeadline(time.Now().Add(linger))
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
		c.Conn.Close() // net/http may have an answer of its own to half a line
		c.broken = readError(reason)
	} else {
		c.broken = reason
	}
}

// refusal has the form of the proxy's own answers.
func refusal(reason error) string {
	status, more, why := http.StatusBadRequest, "", "refused"
	switch {
	case errors.Is(reason, errHeads):
		status, more, why = http.StatusTooManyRequests, "Retry-After: 5\r\n", "limited"
	case errors.Is(reason, errVersion):
		status = http.StatusHTTPVersionNotSupported
	case errors.Is(reason, errHeadLimit):
		status = http.StatusRequestHeaderFieldsTooLarge
	}
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{reason.Error()})
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nCache-Control: no-store\r\nCache-Status: edge; detail=%s\r\nConnection: close\r\n"+
		"Content-Length: %d\r\nContent-Type: application/json\r\nProxy-Status: edge; error=http_request_error\r\n%s\r\n%s\n",
		status, http.StatusText(status), why, len(body)+1, more, body)
}

// readError has net/http close the connection without an answer of its own.
func readError(reason error) error { return &net.OpError{Op: "read", Net: "tcp", Err: reason} }

func (c *Conn) tell(reason error) {
	if c.guard.Refused != nil {
		c.guard.Refused(c.Conn.RemoteAddr(), reason)
	}
}
