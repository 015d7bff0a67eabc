package framing

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pkgedge/edge/edgetest"
)

// echo is a net/http server on a pipe, which echoes requests and remembers them.
type echo struct {
	*edgetest.Pipe
	mu      sync.Mutex
	seen    []string // whole requests
	broken  []error  // of bodies
	refused []error
	up      []byte // handed up by a guard
}

// startEcho serves with a guard, or with nothing between net/http and the connection.
func startEcho(t testing.TB, g *Guard) *echo {
	e := &echo{Pipe: edgetest.NewPipe()}
	srv := &http.Server{Handler: e, ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: 32 << 10}
	var l net.Listener = e.Pipe
	if g != nil {
		g.Refused = func(_ net.Addr, reason error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.refused = append(e.refused, reason)
		}
		l, srv.ConnState = wrapped{l, g, e}, StateChanged
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return e
}

type wrapped struct {
	net.Listener
	guard *Guard
	echo  *echo
}

func (w wrapped) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &upward{w.guard.Wrap(c).(*plainConn), w.echo}, nil
}

// upward notes the bytes that are handed up.
type upward struct {
	*plainConn
	echo *echo
}

func (u *upward) Read(p []byte) (int, error) {
	n, err := u.plainConn.Read(p)
	u.echo.mu.Lock()
	defer u.echo.mu.Unlock()
	u.echo.up = append(u.echo.up, p[:n]...)
	return n, err
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	if r.URL.Path == "/unread" {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.mu.Lock()
		e.broken = append(e.broken, err)
		e.mu.Unlock()
		http.Error(w, "broken", http.StatusBadRequest)
		return
	}
	text := fmt.Sprintf("%s %s %q %v", r.Method, r.RequestURI, body, r.Trailer)
	e.mu.Lock()
	e.seen = append(e.seen, text)
	e.mu.Unlock()
	io.WriteString(w, text)
}

// converse returns all that has been said and seen.
func (e *echo) converse(t testing.TB, parts []string) (said string, seen []string, refused []error) {
	e.mu.Lock()
	e.seen, e.broken, e.refused, e.up = nil, nil, nil, nil
	e.mu.Unlock()
	said = e.Converse(t, func() {}, parts...)
	e.mu.Lock()
	defer e.mu.Unlock()
	return said, e.seen, e.refused
}

const get, get2 = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"

// post is a request with a chunked body.
func post(body string) string {
	return "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
}

// conversations are such that the guard lets pass.
var conversations = map[string][]string{
	"one":                      {get},
	"one after the other":      {get, get2, get},
	"pipelined":                {get + get2 + get},
	"byte by byte":             strings.Split(get+get2, ""),
	"pipelined over a buffer":  {strings.Repeat(get, 300)},
	"no end":                   {get, get2[:20]},
	"closed":                   {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + get},
	"HTTP/1.0":                 {"GET /a HTTP/1.0\r\n\r\n" + get},
	"HTTP/1.0 kept":            {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get},
	"a body":                   {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd" + get},
	"a body by itself":         {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", "ab", "cd" + get, get2},
	"a request for a body":     {fmt.Sprintf("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(get)), get, get2},
	"a body not read":          {fmt.Sprintf("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(get)), get, get2},
	"a long body not read":     {"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300_000) + get},
	"a chunked body not read":  {strings.Replace(post("3\r\nabc\r\n0\r\n\r\n"), "/p", "/unread", 1) + get, get2},
	"a long body":              {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("x", 70_000) + get, get2},
	"a body too short":         {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\nabcd" + get},
	"an empty line behind":     {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd\r\n" + get},
	"an empty line apart":      {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", "\r", "\n", get},
	"chunked":                  {post("3\r\nabc\r\n0\r\n\r\n") + get, get2},
	"chunked, byte by byte":    strings.Split(post("3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n")+get, ""),
	"chunked, empty":           {post("0\r\n\r\n") + get},
	"chunked, of requests":     {post(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(get), get)), get2},
	"chunked, with extensions": {post("3;a=\"b\";c\r\nabc\r\n0;d\r\n\r\n") + get},
	"chunked, with trailers":   {post("3\r\nabc\r\n0\r\nX: y\r\nZ: \r\n\r\n") + get},
	"chunked, large":           {post(strings.Repeat("2000\r\n"+strings.Repeat("x", 0x2000)+"\r\n", 8)+"0\r\n\r\n") + get},
	"chunked, no end":          {post("3\r\nab")},
	"expect":                   {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", "abcd" + get},
	"expect in vain":           {"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", "abcd" + get},
	"expect another":           {"GET /a HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n" + get},
	"long fields":              {"GET /a HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 9000) + "\r\n\r\n" + get},
	"fields too long":          {"GET /a HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 50_000) + "\r\n\r\n" + get},
	"no host":                  {"GET /a HTTP/1.1\r\n\r\n" + get},
	"connect":                  {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + get},
}

// On well-formed messages a guard changes nothing.
func TestGuardedIsTheSame(t *testing.T) {
	bare, guarded := startEcho(t, nil), startEcho(t, new(Guard))
	for name, parts := range conversations {
		t.Run(name, func(t *testing.T) {
			said, seen, _ := bare.converse(t, parts)
			gsaid, gseen, refused := guarded.converse(t, parts)
			if said != gsaid || !slices.Equal(seen, gseen) {
				t.Errorf("bare: %.1000q, %.1000q\nguarded: %.1000q, %.1000q", seen, said, gseen, gsaid)
			}
			if len(refused) > 0 {
				t.Errorf("refused: %v", refused)
			}
		})
	}
}

// A request that is refused ends the connection with a reason, after the answers to those
// before it. Nothing of it, and of the rest, reaches a handler.
func TestRefusals(t *testing.T) {
	e := startEcho(t, new(Guard))
	for name, tt := range map[string]struct {
		parts []string
		want  error
		code  string
	}{
		"at first":                      {[]string{"GET /x HTTP/1.1\nHost: a\r\n\r\n" + get}, errBareLF, "400"},
		"two lengths":                   {[]string{"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get}, errTwoLengths, "400"},
		"in parts":                      {[]string{"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Enc", "oding: chunked\r\n\r", "\n0\r\n\r\n" + get}, errTwoLengths, "400"},
		"byte by byte":                  {strings.Split("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+get, ""), errCoding10, "400"},
		"HTTP/2":                        {[]string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, errVersion, "505"},
		"a bare LF in a part":           {[]string{"GET /x HTTP/1.1\r\n", "X: y\nZ: z\r\n\r\n"}, errBareLF, "400"},
		"a head without an end":         {[]string{strings.Repeat("a", 20_000), strings.Repeat("a", 20_000), strings.Repeat("a", 40_000)}, nil, "431"},
		"empty lines":                   {[]string{strings.Repeat("\r\n", maxEmptyLines+1) + get}, errEmptyLines, "400"},
		"empty lines in parts":          {append(strings.Split(strings.Repeat("\r\n", maxEmptyLines+1), ""), get), errEmptyLines, "400"},
		"a CR":                          {[]string{"\r", get}, errRequest, "400"},
		"an empty line of LF by itself": {[]string{"\n"}, errBareLF, "400"},
		"an empty line of LF":           {[]string{"\n" + get}, errBareLF, "400"},
	} {
		for prefix, before := range map[string][]string{"": nil, " after another": {get2}} {
			t.Run(name+prefix, func(t *testing.T) {
				said, seen, refused := e.converse(t, slices.Concat(before, tt.parts))
				if tt.want != nil && !slices.Equal(refused, []error{tt.want}) {
					t.Errorf("refused for %v, want %v", refused, tt.want)
				}
				if len(seen) != len(before) {
					t.Errorf("a handler has seen %q", seen)
				}
				if strings.Count(said, "HTTP/1.1 ") != len(before)+1 || !strings.Contains(said, "HTTP/1.1 "+tt.code) || !strings.Contains(said, "Connection: close") {
					t.Errorf("said %q", said)
				}
			})
		}
		t.Run(name+" behind another", func(t *testing.T) {
			_, seen, _ := e.converse(t, append([]string{get2 + tt.parts[0]}, tt.parts[1:]...))
			if len(seen) != 1 {
				t.Errorf("handlers have seen %q", seen)
			}
		})
	}
}

// A body that its client spoilt is an error of the handler's Read, and the end.
func TestSpoiltBodies(t *testing.T) {
	e := startEcho(t, new(Guard))
	for body, want := range map[string]error{ // nil where net/http has an error of its own for that
		"ZZ\r\nabc\r\n0\r\n\r\n":                     errChunk,
		"\r\nabc\r\n0\r\n\r\n":                       errChunk,
		"0x3\r\nabc\r\n0\r\n\r\n":                    errChunk,
		"-3\r\nabc\r\n0\r\n\r\n":                     errChunk,
		"+3\r\nabc\r\n0\r\n\r\n":                     errChunk,
		"3 \r\nabc\r\n0\r\n\r\n":                     errChunk,
		" 3\r\nabc\r\n0\r\n\r\n":                     errChunk,
		"fffffffffffffffff\r\nabc\r\n0\r\n\r\n":      errChunk,
		"3\nabc\r\n0\r\n\r\n":                        errBareLF,
		"3;\rabc\r\nabc\r\n0\r\n\r\n":                errChunk,
		"3;a\nb\r\nabc\r\n0\r\n\r\n":                 errBareLF,
		"3\r\nabc\n0\r\n\r\n":                        errChunk,
		"3\r\nabcd\r\n0\r\n\r\n":                     errChunk,
		"3;" + strings.Repeat("x", maxLine) + "\r\n": errChunk,
		"0\r\nContent-Length: 3\r\n\r\n":             nil,
		"0\r\nTransfer-Encoding: chunked\r\n\r\n":    nil,
		"0\r\nX\x00: y\r\n\r\n":                      nil,
		"0\r\nX: y\r\n z\r\n\r\n":                    nil,
		"0\r\nX: y\n\r\n":                            nil,
		"0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 500)+"\r\n", 10) + "\r\n": nil,
	} {
		for _, parts := range [][]string{{post(body) + get}, append(strings.Split(post(body), ""), get)} {
			said, seen, refused := e.converse(t, parts)
			if len(seen) > 0 || len(refused) > 0 || len(e.broken) != 1 || want != nil && e.broken[0] != want || !strings.HasSuffix(said, "broken\n") {
				t.Errorf("%.100q in %d parts: broken for %v, want %v; handlers have seen %q; said %q", body, len(parts), e.broken, want, seen, said)
			}
		}
	}
}

// A guard that is wrong about the end of a message, or a net/http that has changed, ends
// the connection.
func TestDifferenceEndsTheConnection(t *testing.T) {
	for name, steps := range map[string]func(c *Conn){
		"net/http wants more": func(c *Conn) { c.Read(make([]byte, 4096)) },
		"net/http is done":    func(c *Conn) { c.stage = inBody; c.setState(http.StateIdle) },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			var refused []error
			g := &Guard{Refused: func(_ net.Addr, reason error) { refused = append(refused, reason) }}
			c := g.Wrap(server).(*plainConn).Conn
			go io.WriteString(client, get)
			p := make([]byte, 4096)
			if n, err := c.Read(p); n != len(get) || err != nil {
				t.Fatal(n, err)
			}
			steps(c)
			if n, err := c.Read(p); n != 0 || !errors.Is(err, errDesynchronised) || !slices.Equal(refused, []error{errDesynchronised}) {
				t.Errorf("got %d, %v; told %v", n, err, refused)
			}
		})
	}
}

// parsed cuts a fuzzed text into parts.
func parsed(text string) []string { return strings.Split(text, "\xff") }

func lineless(text string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(text) }

// Empty lines before a request are dropped, however they come.
func TestEmptyLines(t *testing.T) {
	e := startEcho(t, new(Guard))
	body := "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
	for name, parts := range map[string][]string{
		"at first":             {"\r\n" + get + get2 + body + get},
		"at first, apart":      {"\r", "\n", get + get2 + body + get},
		"behind each":          {get + "\r\n" + get2 + "\r\n\r\n" + body + "\r\n" + get + "\r\n"},
		"behind each, by Read": {get, "\r\n", get2, "\r\n", "\r\n", body, "\r\n", get, "\r\n"},
		"byte by byte":         strings.Split("\r\n"+get+"\r\n\r\n"+get2+"\r\n"+body+"\r\n"+get, ""),
		"in two Reads":         {get + "\r", "\n" + get2 + "\r", "\n" + body + "\r\n\r", "\n" + get},
	} {
		t.Run(name, func(t *testing.T) {
			said, seen, refused := e.converse(t, parts)
			want := []string{`GET /a "" map[]`, `GET /b "" map[]`, `POST /p "abcd" map[]`, `GET /a "" map[]`}
			if !slices.Equal(seen, want) || len(refused) > 0 || strings.Count(said, "HTTP/1.1 200") != len(want) {
				t.Errorf("seen %q, refused for %v, said %q", seen, refused, said)
			}
			if string(e.up) != get+get2+body+get {
				t.Errorf("handed up %q", e.up)
			}
		})
	}
}

// No request of a guarded connection is another one than net/http alone has read.
func FuzzConn(f *testing.F) {
	for _, parts := range conversations {
		if text := strings.Join(parts, "\xff"); len(text) < 4096 {
			f.Add(text)
		}
	}
	f.Add(post("3\r\nabcd\r\n0\r\n\r\n") + get)
	f.Add("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get)
	bare, guarded := startEcho(f, nil), startEcho(f, new(Guard))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 {
			t.Skip()
		}
		gsaid, gseen, refused := guarded.converse(t, parsed(text))
		whole := strings.ReplaceAll(text, "\xff", "")
		if rest, ok := strings.CutPrefix(whole, string(guarded.up)); !ok || strings.HasPrefix(rest, "\r") { // empty lines are dropped
			if !strings.HasPrefix(lineless(whole), lineless(string(guarded.up))) {
				t.Errorf("%q: handed up %q", text, guarded.up)
			}
			if _, seen, _ := bare.converse(t, []string{string(guarded.up)}); !slices.Equal(gseen, seen) {
				t.Errorf("%q: bare has seen\n%q\nguarded\n%q", text, seen, gseen)
			}
			return
		}
		said, seen, _ := bare.converse(t, parsed(text))
		if len(gseen) > len(seen) || !slices.Equal(gseen, seen[:len(gseen)]) {
			t.Errorf("%q: bare has seen\n%q\nguarded\n%q", text, seen, gseen)
		}
		if len(refused) == 0 && len(guarded.broken) == 0 && gsaid != said {
			t.Errorf("%q: bare says\n%q\nguarded\n%q", text, said, gsaid)
		}
		if slices.Contains(refused, errDesynchronised) {
			t.Errorf("%q: net/http and the guard differ", text)
		}
	})
}
