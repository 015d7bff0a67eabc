package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The bytes on the wire, for clients that are not Go's: RFC 9112.

// wire is an edge and an origin that answers by path.
func wire(t *testing.T) (c net.Conn, begun func()) {
	t.Helper()
	headRead := make(chan struct{})
	origin := newOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=3600")
		h.Set("Etag", `"v"`)
		h["Content-Type"] = nil
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/chunked":
			io.WriteString(w, digits[:5])
			http.NewResponseController(w).Flush()
			select { // else the edge may know the length before it answers
			case <-headRead:
			case <-r.Context().Done():
			}
			io.WriteString(w, digits[5:])
		case "/hints":
			h.Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
			h.Del("Link")
			io.WriteString(w, digits)
		default:
			h.Set("Content-Length", "10")
			io.WriteString(w, digits)
		}
	}))
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: site, kind: files, masters: [{ url: "%s", role: primary }] }]`, origin), true)
	serveEdge(t, e)
	c, err := net.Dial("tcp", e.cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // a lost answer fails the test, and does not hang it
	return c, sync.OnceFunc(func() { close(headRead) })
}

func TestWire(t *testing.T) {
	const host = "Host: edge.example\r\n"
	for _, tt := range []struct {
		name string
		send string
		want []string // each response: its status line, the fields it must or must not have, and "|" and the body
	}{
		{"HTTP/1.0 has no chunks: the end of the connection ends the body", "GET /chunked HTTP/1.0\r\n\r\n",
			[]string{"HTTP/1.0 200 OK; !Transfer-Encoding; !Content-Length|" + digits}},
		{"HTTP/1.0 is told no interim response", "GET /hints HTTP/1.0\r\n\r\n",
			[]string{"HTTP/1.0 200 OK; !Link|" + digits}},
		{"nor on what is passed", "POST /hints HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
			[]string{"HTTP/1.0 200 OK; !Link|" + digits}},
		{"HTTP/1.0 may keep its connection", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /a HTTP/1.0\r\n\r\n",
			[]string{"HTTP/1.0 200 OK; Connection: keep-alive; Content-Length: 10|" + digits, "HTTP/1.0 200 OK|" + digits}},
		{"HTTP/1.1 is sent chunks where the length is not known", "GET /chunked HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
			[]string{"HTTP/1.1 200 OK; Transfer-Encoding: chunked; !Content-Length|5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"}},
		{"HTTP/1.1 without Host is refused", "GET /a HTTP/1.1\r\n\r\n", []string{"HTTP/1.1 400 Bad Request: missing required Host header"}},
		{"the connection is kept, and answers come in the order of the requests",
			"GET /a HTTP/1.1\r\n" + host + "\r\n" + "HEAD /a HTTP/1.1\r\n" + host + "\r\n" +
				"GET /a HTTP/1.1\r\n" + host + "Range: bytes=2-3\r\n\r\n" + "GET /204 HTTP/1.1\r\n" + host + "\r\n" +
				"GET /a HTTP/1.1\r\n" + host + "If-None-Match: \"v\"\r\n\r\n" + "GET /a HTTP/1.1\r\n" + host + "Range: bytes=90-\r\n\r\n" +
				"GET /a HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
			[]string{
				"HTTP/1.1 200 OK; Content-Length: 10|" + digits,
				"HTTP/1.1 200 OK; Content-Length: 10|",
				"HTTP/1.1 206 Partial Content; Content-Length: 2|23",
				"HTTP/1.1 204 No Content; !Content-Length; !Transfer-Encoding|",
				"HTTP/1.1 304 Not Modified; !Content-Length; !Transfer-Encoding; !Content-Type|",
				"HTTP/1.1 416 Requested Range Not Satisfiable; Content-Length: 0|",
				"HTTP/1.1 200 OK; Connection: close|" + digits,
			}},
		{"HEAD of what the origin sends in chunks has no body", "HEAD /chunked HTTP/1.1\r\n" + host + "\r\nGET /a HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
			[]string{"HTTP/1.1 200 OK|", "HTTP/1.1 200 OK|" + digits}},
		{"a GET with a body is answered, and its body is not taken for a request",
			"GET /a HTTP/1.1\r\n" + host + "Content-Length: 28\r\n\r\nGET /evil HTTP/1.1\r\nX: 1\r\n\r\nGET /a HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
			[]string{"HTTP/1.1 200 OK|" + digits, "HTTP/1.1 200 OK|" + digits}},
		{"the absolute form is accepted for every host that the origin form is", "GET http://other.example/a HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
			[]string{"HTTP/1.1 200 OK|" + digits}},
		{"the absolute form of another scheme is refused", "GET ftp://other.example/a HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
			[]string{"HTTP/1.1 421 Misdirected Request; Cache-Status: edge; detail=refused; Proxy-Status: edge; error=http_request_error"}},
		{"TRACE is refused", "TRACE /a HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
			[]string{"HTTP/1.1 405 Method Not Allowed; Allow: *; Cache-Status: edge; detail=refused"}},
		{"two lengths that differ are refused", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
			[]string{"HTTP/1.1 400 Bad Request"}},
		{"an unknown transfer coding is refused", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
			[]string{"HTTP/1.1 400 Bad Request; Connection: close"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, begun := wire(t)
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			for _, want := range tt.want {
				checkWire(t, r, want, begun)
			}
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("then comes %q, %v", rest, err)
			}
		})
	}
}

// checkWire reads one response, byte for byte. It calls begun once the header is
// there.
func checkWire(t *testing.T, r *bufio.Reader, want string, begun func()) {
	t.Helper()
	head, body, framed := strings.Cut(want, "|")
	status, rest, _ := strings.Cut(head, "; ")
	line, err := r.ReadString('\n')
	if err != nil || strings.TrimRight(line, "\r\n") != status {
		t.Fatalf("status line %q, %v; want %q", line, err, status)
	}
	h := http.Header{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	begun()
	if rest != "" {
		var fields []string
		for f := range strings.SplitSeq(rest, "; ") {
			if len(fields) > 0 && !strings.Contains(f, ": ") && !strings.HasPrefix(f, "!") {
				fields[len(fields)-1] += "; " + f // a parameter
				continue
			}
			fields = append(fields, f)
		}
		checkFields(t, status, h, fields, 0)
	}
	if !framed { // the connection ends here
		io.Copy(io.Discard, r)
		return
	}
	got := make([]byte, len(body))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != body {
		t.Errorf("body %q, %v; want %q", got, err, body)
	}
}
