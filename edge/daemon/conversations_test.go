package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"pkgedge/edge/edgetest"
)

// spoken is an edge that raw conversations are held with, and its origin.
type spoken struct {
	*edgetest.Pipe
	edge   *testEdge
	addr   string // of its socket
	origin string // host and port

	mu    sync.Mutex
	asked []string // the requests that the origin has seen
}

// newSpoken starts an edge whose configuration has more keys.
func newSpoken(t testing.TB, keys string) *spoken {
	return startSpoken(t, keys, func(h http.Handler) http.Handler { return h })
}

// startSpoken starts one whose handler is wrapped.
func startSpoken(t testing.TB, keys string, wrap func(http.Handler) http.Handler, prepare ...func(*testEdge)) *spoken {
	t.Helper()
	s := &spoken{Pipe: edgetest.NewPipe()}
	origin := httptest.NewServer(s)
	t.Cleanup(origin.Close)
	s.origin = origin.Listener.Addr().String()
	cfg := configured(t, fmt.Sprintf(`%s
admin: { listen: '' }
log: { access: 'off' }
public_url: http://edge
sites:
  - { name: files, kind: files, path: /f/, probe: { every: 1h }, masters: [ { url: %q, role: primary } ] }
  - { name: npm, probe: { every: 1h }, masters: [ { url: %q, role: primary } ] }
`, keys, origin.URL, origin.URL))
	cfg.Cache.Memory, cfg.Cache.Disk, cfg.Cache.Dir = 1<<20, 8<<20, fastDir(t) // small responses are in memory, larger ones in files
	s.edge = newTestDaemon(t, cfg, edgetest.QuietLog())
	s.edge.openTestCache(t)
	s.addr = s.edge.listener.Addr().String()
	s.edge.listener.Handler = wrap(s.edge.listener.Handler)
	for _, p := range prepare { // which keep the socket
		p(s.edge)
	}
	if len(prepare) == 0 {
		s.edge.listener.Close()
		s.edge.listener.Listener = s.Pipe
	}
	serveEdge(t, s.edge)
	return s
}

// ServeHTTP is the origin: a few files, a packument, and an echo of everything else.
func (s *spoken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its client has broken it off
	}
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s %q", r.Method, r.RequestURI, body))
	s.mu.Unlock()
	h := w.Header()
	h["Date"] = nil
	switch r.URL.Path {
	case "/a", "/b":
		h.Set("Cache-Control", "max-age=3600")
		h.Set("Content-Type", "text/plain")
		h.Set("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT")
		h.Set("ETag", `"e`+r.URL.Path[1:]+`"`)
		io.WriteString(w, "file "+r.URL.Path)
	case "/bare":
		h.Set("Cache-Control", "max-age=3600")
		h["Content-Type"] = nil
		io.WriteString(w, "no fields")
	case "/empty":
		h.Set("Cache-Control", "max-age=3600")
	case "/large":
		h.Set("Cache-Control", "max-age=3600")
		io.WriteString(w, strings.Repeat("0123456789abcdef", 2500))
	case "/vary":
		h.Set("Cache-Control", "max-age=3600")
		h.Set("Vary", "User-Agent")
		io.WriteString(w, "for "+r.UserAgent())
	case "/stale":
		h.Set("Cache-Control", "max-age=0")
		h.Set("ETag", `"s"`)
		io.WriteString(w, "stale at once")
	case "/gone":
		h.Set("Cache-Control", "max-age=3600")
		w.WriteHeader(http.StatusNotFound)
	case "/pkg":
		h.Set("Content-Type", "application/json")
		h.Set("ETag", `"p"`)
		io.WriteString(w, `{"name":"pkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"pkg","version":"1.0.0","dist":{"tarball":"http://`+r.Host+`/pkg/-/pkg-1.0.0.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}}`)
	default:
		h.Set("Cache-Control", "no-store")
		fmt.Fprintf(w, "%s %s of %d bytes", r.Method, r.URL.Path, len(body))
	}
}

// askedSince returns the requests that the origin has seen since the last call.
func (s *spoken) askedSince() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// pair are two edges which are to say the same.
type pair struct{ one, other *spoken }

// differ holds a conversation with both edges, twice: the second time all is stored
// that may be. It returns the difference, "" for none.
func (p pair) differ(t testing.TB, parts []string) string {
	for i := range 2 {
		one, other := p.one.converse(t, parts), p.other.converse(t, parts)
		if i == 0 {
			continue // pipelined requests may find another one's fetch under way, or not
		}
		if one.said != other.said {
			return fmt.Sprintf("one says\n%.2000s\nthe other says\n%.2000s", one.said, other.said)
		}
		if !slices.Equal(one.asked, other.asked) {
			return fmt.Sprintf("the origin of one is asked\n%.2000q\nof the other\n%.2000q", one.asked, other.asked)
		}
	}
	return ""
}

// held is a conversation that has been held.
type held struct {
	said  string   // by the edge
	asked []string // of its origin
}

func (s *spoken) converse(t testing.TB, parts []string) held {
	said := s.Converse(t, func() { s.edge.settle(t) }, parts...)
	return held{strings.ReplaceAll(edgetest.Settled(said), s.origin, "origin"), s.askedSince()}
}

// wireGet is the head of a request.
func wireGet(path string, fields ...string) string { return wireHead("GET", path, fields...) }

func wireHead(method, path string, fields ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: edge\r\n" + strings.Join(append(fields, "", ""), "\r\n")
}

// fields of the clients, as they send them.
var (
	npmFields = []string{
		"connection: keep-alive", "user-agent: npm/11.0.0 node/v24.0.0 linux x64 workspaces/false", "npm-auth-type: web",
		"npm-command: install", "npm-session: 1f0c", "pacote-version: 20.0.0", "pacote-req-type: packument", "pacote-pkg-id: registry:pkg",
		"accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", "accept-encoding: gzip,deflate",
	}
	pnpmFields = []string{
		"accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", "accept-encoding: br,gzip,deflate",
		"user-agent: pnpm/10.0.0 npm/? node/v24.0.0 linux x64", "connection: keep-alive", "cache-control: no-cache",
	}
	yarnFields = []string{"user-agent: yarn/4.0.0 npm/? node/v24.0.0 linux x64", "accept: application/json", "accept-encoding: gzip, deflate, br", "connection: keep-alive"}
	bunFields  = []string{
		"Connection: keep-alive", "User-Agent: Bun/1.3.0", "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*",
		"Accept-Encoding: gzip, deflate, br, zstd", "npm-auth-type: legacy", `If-None-Match: "none"`, "If-Modified-Since: Sun, 01 Mar 2026 12:00:00 GMT",
	}
)

// conversations are requests as they may come, in the parts in which they come.
var conversations = map[string][]string{
	"one":                          {wireGet("/f/a")},
	"two":                          {wireGet("/f/a"), wireGet("/f/b")},
	"absent":                       {wireGet("/f/none"), wireGet("/f/gone"), wireGet("/none")},
	"without a type or a body":     {wireGet("/f/bare"), wireGet("/f/empty"), wireGet("/f/a")},
	"large":                        {wireGet("/f/large"), wireGet("/f/a")},
	"selected":                     {wireGet("/f/vary", "User-Agent: x"), wireGet("/f/vary", "User-Agent: y"), wireGet("/f/vary", "User-Agent: x")},
	"stale":                        {wireGet("/f/stale"), wireGet("/f/a"), wireGet("/f/stale")},
	"npm":                          {wireGet("/pkg", npmFields...), wireGet("/pkg", npmFields...), wireGet("/pkg/1.0.0", npmFields...)},
	"pnpm":                         {wireGet("/pkg", pnpmFields...), wireGet("/pkg", pnpmFields...)},
	"yarn":                         {wireGet("/pkg", yarnFields...), wireGet("/pkg", yarnFields...)},
	"bun":                          {wireGet("/pkg", bunFields...), wireGet("/pkg", bunFields...)},
	"a site below another":         {wireGet("/pkg"), wireGet("/f/a"), wireGet("/f"), wireGet("/")},
	"HEAD":                         {wireHead("HEAD", "/f/a"), wireGet("/f/a"), wireHead("HEAD", "/f/large"), wireGet("/f/b")},
	"range":                        {wireGet("/f/a", "Range: bytes=2-3"), wireGet("/f/a"), wireGet("/f/a", "Range: bytes=0-0,3-4"), wireGet("/f/a", "Range: bytes=90-")},
	"if-none-match":                {wireGet("/f/a", `If-None-Match: "ea"`), wireGet("/f/a"), wireGet("/f/a", `If-None-Match: "x"`), wireGet("/f/a", `If-None-Match: "x", W/"ea"`), wireGet("/f/a", "If-None-Match: *")},
	"if-none-match, weak":          {wireGet("/f/a", `If-None-Match: W/"ea"`), wireGet("/f/a")},
	"if-none-match, twice":         {wireGet("/f/a", `If-None-Match: "x"`, `If-None-Match: "ea"`), wireGet("/f/a")},
	"if-none-match beside a date":  {wireGet("/f/a", `If-None-Match: "ea"`, "If-Modified-Since: Sun, 01 Mar 2020 12:00:00 GMT"), wireGet("/f/a")},
	"if-none-match without an tag": {wireGet("/f/bare", `If-None-Match: "ea"`), wireGet("/f/bare")},
	"if-modified-since":            {wireGet("/f/a", "If-Modified-Since: Sun, 01 Mar 2026 12:00:00 GMT"), wireGet("/f/a")},
	"if-match":                     {wireGet("/f/a", `If-Match: "x"`), wireGet("/f/a")},
	"cache-control":                {wireGet("/f/a", "Cache-Control: no-cache"), wireGet("/f/a", "Cache-Control: only-if-cached"), wireGet("/f/a", "Pragma: no-cache"), wireGet("/f/a", "Cache-Control: max-age=0"), wireGet("/f/a")},
	"authorization":                {wireGet("/f/a", "Authorization: Bearer x"), wireGet("/f/a"), wireGet("/pkg", "Authorization: Bearer x"), wireGet("/pkg")},
	"cookie":                       {wireGet("/f/a", "Cookie: a=b"), wireGet("/f/a")},
	"connection: close":            {wireGet("/f/a", "Connection: close"), wireGet("/f/a")},
	"connection: CLOSE":            {wireGet("/f/a", "Connection: keep-alive, CLOSE"), wireGet("/f/a")},
	"connection twice":             {wireGet("/f/a", "Connection: keep-alive", "Connection: close"), wireGet("/f/a")},
	"looped":                       {wireGet("/f/a", "Via: 1.1 other"), wireGet("/f/a", "CDN-Loop: other"), wireGet("/f/a")},
	"forwarded":                    {wireGet("/f/a", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"), wireGet("/f/a")},
	"HTTP/1.0":                     {"GET /f/a HTTP/1.0\r\n\r\n", wireGet("/f/a")},
	"HTTP/1.0, kept alive":         {"GET /f/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", wireGet("/f/a"), "GET /f/b HTTP/1.0\r\n\r\n"},
	"HTTP/1.2":                     {"GET /f/a HTTP/1.2\r\nHost: edge\r\n\r\n", wireGet("/f/a")},
	"HTTP/2 without ALPN":          {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
	"HTTP/0.9":                     {"GET /f/a\r\n", wireGet("/f/a")},
	"lower case":                   {"get /f/a HTTP/1.1\r\nHost: edge\r\n\r\n", wireGet("/f/a")},
	"absolute form":                {wireGet("http://edge/f/a"), wireGet("http://other/f/a"), wireGet("/f/a")},
	"asterisk":                     {wireHead("OPTIONS", "*"), wireGet("/f/a")},
	"CONNECT":                      {"CONNECT edge:80 HTTP/1.1\r\nHost: edge:80\r\n\r\n", wireGet("/f/a")},
	"TRACE":                        {wireHead("TRACE", "/f/a"), wireGet("/f/a")},
	"query":                        {wireGet("/f/a?b"), wireGet("/f/a?"), wireGet("/f/a"), wireGet("/f/a?b")},
	"escapes":                      {wireGet("/f/%61"), wireGet("/f/a"), wireGet("/f/./a"), wireGet("//f/a"), wireGet("/f/a#b"), wireGet("/f/%zz"), wireGet("/f/a")},
	"spaces in the target":         {wireGet("/f/a b"), wireGet("/f/a")},
	"8 bits":                       {wireGet("/f/\xfc"), wireGet("/f/a", "X: \xfc"), wireGet("/f/a")},
	"no host":                      {"GET /f/a HTTP/1.1\r\n\r\n", wireGet("/f/a")},
	"two hosts":                    {wireGet("/f/a", "Host: edge"), wireGet("/f/a")},
	"another host":                 {"GET /f/a HTTP/1.1\r\nHost: other\r\n\r\n", wireGet("/f/a"), "GET /f/a HTTP/1.1\r\nHost: EDGE:80\r\n\r\n"},
	"a bad host":                   {"GET /f/a HTTP/1.1\r\nHost: ed ge\r\n\r\n", wireGet("/f/a")},
	"an empty host":                {"GET /f/a HTTP/1.1\r\nHost:\r\n\r\n", wireGet("/f/a")},
	"a field twice":                {wireGet("/f/a", "Accept: text/plain", "Accept: */*"), wireGet("/f/a")},
	"many fields":                  {wireGet("/f/a", slices.Repeat([]string{"Npm-X: y"}, 100)...), wireGet("/f/a")},
	"a long field":                 {wireGet("/f/a", "Npm-X: "+strings.Repeat("y", 5000)), wireGet("/f/a")},
	"a head too long":              {wireGet("/f/a", "Npm-X: "+strings.Repeat("y", 40_000)), wireGet("/f/a")},

	"pipelined":                     {wireGet("/f/a") + wireGet("/f/b") + wireGet("/f/a")},
	"pipelined, one not for a lane": {wireGet("/f/a") + wireGet("/f/b", "Range: bytes=0-1") + wireGet("/f/a") + wireGet("/f/b")},
	"pipelined, a POST between":     {wireGet("/f/a") + wireHead("POST", "/f/x", "Content-Length: 3") + "abc" + wireGet("/f/b") + wireGet("/f/a")},
	"pipelined, the last in parts":  {wireGet("/f/a") + wireGet("/f/b") + "GE", "T /f/a HTTP/1.1\r\nHost: edge\r\n\r\n"},
	"pipelined, closed between":     {wireGet("/f/a") + wireGet("/f/b", "Connection: close") + wireGet("/f/a")},
	"pipelined over a buffer":       {strings.Repeat(wireGet("/f/a", "Npm-X: "+strings.Repeat("y", 200)), 40)},
	"a byte ahead":                  {wireGet("/f/none"), "G", "ET /f/a HTTP/1.1\r\nHost: edge\r\n\r\n" + wireGet("/f/b")},
	"split in the line":             {"GET /f", "/a HTTP/1.1\r\nHost: edge\r\n\r\n", wireGet("/f/b")},
	"split in bytes":                strings.Split(wireGet("/f/a")+wireGet("/f/b"), ""),
	"split in the last CRLF":        {strings.TrimSuffix(wireGet("/f/a"), "\n"), "\n" + wireGet("/f/b")},
	"split before the last CRLF":    {strings.TrimSuffix(wireGet("/f/a"), "\r\n"), "\r\n", wireGet("/f/b")},
	"split after 3 bytes":           {wireGet("/f/a"), "GET", " /f/b HTTP/1.1\r\nHost: edge\r\n\r\n", wireGet("/f/a")},
	"half a head behind a request":  {wireGet("/f/b") + "POST /f/x HTTP/1.1\r\n", wireGet("/f/a"), wireGet("/f/b")},
	"three bytes behind a request":  {wireGet("/f/b") + "GET", " /f/b HTTP/1.1\r\nX-A: b\r\n", wireGet("/f/a"), wireGet("/f/b")},
	"a head in lines":               {"POST /f/x HTTP/1.1\r\n", "Host: edge\r\n", wireGet("/f/a"), wireGet("/f/b")},
	"a head without an end":         {wireGet("/f/a"), "GET /f/b HTTP/1.1\r\nHost: edge\r\n"},
	"a head in mid-name":            {wireGet("/f/a"), "GET /f/b HTTP/1.1\r\nHo"},

	"POST":                         {wireHead("POST", "/f/x", "Content-Length: 3") + "abc", wireGet("/f/a")},
	"POST, the body by itself":     {wireHead("POST", "/f/x", "Content-Length: 3"), "a", "bc", wireGet("/f/a")},
	"POST and CRLF":                {wireHead("POST", "/f/x", "Content-Length: 3") + "abc\r\n", wireGet("/f/a")},
	"POST and CRLF, by itself":     {wireHead("POST", "/f/x", "Content-Length: 3") + "abc", "\r\n", wireGet("/f/a")},
	"POST and a CRLF in parts":     {wireHead("POST", "/f/x", "Content-Length: 3") + "abc", "\r", "\n", wireGet("/f/a")},
	"POST and much CRLF":           {wireHead("POST", "/f/x", "Content-Length: 3") + "abc\r\n\r\n\r\n" + wireGet("/f/a")},
	"CRLF at first":                {"\r\n" + wireGet("/f/a") + "\r\n" + wireGet("/f/b")},
	"CRLF alone":                   {wireGet("/f/a"), "\r\n", wireGet("/f/b"), "\r", "\n", wireGet("/f/none"), "\r\n", wireGet("/f/a")},
	"CRLF alone, at the end":       {wireGet("/f/a"), "\r\n"},
	"half a CRLF, at the end":      {wireGet("/f/a"), "\r"},
	"an LF behind":                 {wireGet("/f/a") + "\n0"},
	"a CR behind":                  {wireGet("/f/a") + "\r0"},
	"an LF behind a miss":          {wireGet("/f/none") + "\n"},
	"half a CRLF":                  {wireGet("/f/a"), "\r", wireGet("/f/b")},
	"much CRLF":                    {wireGet("/f/a"), strings.Repeat("\r\n", 20) + wireGet("/f/b")},
	"POST of a request":            {wireHead("POST", "/f/x", fmt.Sprint("Content-Length: ", len(wireGet("/f/a")))), wireGet("/f/a"), wireGet("/f/b")},
	"POST, with a GET in its head": {"POST /f/x HTTP/1.1\r\n", "GET /f/a HTTP/1.1\r\nHost: edge\r\n\r\n", wireGet("/f/b")},
	"POST, shorter than it says":   {wireHead("POST", "/f/x", "Content-Length: 300") + wireGet("/f/a")},
	"POST to a refusal":            {wireHead("POST", "/f/../x", "Content-Length: 3") + "abc", wireGet("/f/a")},
	"a large body":                 {wireHead("PUT", "/f/x", "Content-Length: 100000") + strings.Repeat("x", 100_000) + wireGet("/f/a"), wireGet("/f/b")},
	"a large body not read":        {wireHead("TRACE", "/f/x", "Content-Length: 300000") + strings.Repeat("x", 300_000) + wireGet("/f/a")},
	"GET with a body":              {wireGet("/f/a", "Content-Length: 3") + "abc" + wireGet("/f/b"), wireGet("/f/a")},
	"GET, a body of none":          {wireGet("/f/a", "Content-Length: 0") + wireGet("/f/b"), wireGet("/f/a")},
	"GET with a chunked body":      {wireGet("/f/a", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + wireGet("/f/b"), wireGet("/f/a")},
	"chunked":                      {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + wireGet("/f/a"), wireGet("/f/b")},
	"chunked in bytes":             append(strings.Split(wireHead("POST", "/f/x", "Transfer-Encoding: chunked")+"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", ""), wireGet("/f/a")),
	"chunked with a request":       {wireHead("POST", "/f/x", "Transfer-Encoding: chunked"), fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(wireGet("/f/a")), wireGet("/f/a")), wireGet("/f/b")},
	"chunked with an extension":    {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3;a=b\r\nabc\r\n0\r\n\r\n", wireGet("/f/a")},
	"chunked with a trailer":       {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX: y\r\n\r\n" + wireGet("/f/a"), wireGet("/f/b")},
	"chunked, large":               {wireHead("PUT", "/f/x", "Transfer-Encoding: Chunked") + strings.Repeat("2000\r\n"+strings.Repeat("x", 0x2000)+"\r\n", 20) + "0\r\n\r\n" + wireGet("/f/a")},
	"expect":                       {wireHead("POST", "/f/x", "Content-Length: 3", "Expect: 100-continue"), "abc", wireGet("/f/a")},
	"expect at once":               {wireHead("POST", "/f/x", "Content-Length: 3", "Expect: 100-continue") + "abc" + wireGet("/f/a")},
	"expect in vain":               {wireHead("TRACE", "/f/x", "Content-Length: 3", "Expect: 100-continue"), wireGet("/f/a")},
	"expect anything":              {wireGet("/f/a", "Expect: anything"), wireGet("/f/a")},
	"upgrade":                      {wireGet("/f/a", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), wireGet("/f/a")},
}

// smuggled are requests whose end is in doubt. No byte of them is forwarded.
var smuggled = map[string][]string{
	"CL and TE":               {wireHead("POST", "/f/x", "Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"TE and CL":               {wireHead("POST", "/f/x", "Transfer-Encoding: chunked", "Content-Length: 0") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"TE in HTTP/1.0":          {"POST /f/x HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + wireGet("/f/smuggled")},
	"TE and CL in HTTP/1.0":   {"POST /f/x HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc" + wireGet("/f/smuggled")},
	"TE folded":               {"POST /f/x HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a folded field":          {"GET /f/x HTTP/1.1\r\nHost: edge\r\nX: a\r\n b\r\n\r\n" + wireGet("/f/smuggled")},
	"a folded line at first":  {"GET /f/x HTTP/1.1\r\n Host: edge\r\n\r\n" + wireGet("/f/smuggled")},
	"TE twice":                {wireHead("POST", "/f/x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"TE of two":               {wireHead("POST", "/f/x", "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"TE of another":           {wireHead("POST", "/f/x", "Transfer-Encoding: identity") + wireGet("/f/smuggled")},
	"TE with a parameter":     {wireHead("POST", "/f/x", "Transfer-Encoding: chunked;a=b") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"TE empty":                {wireHead("POST", "/f/x", "Transfer-Encoding:") + wireGet("/f/smuggled")},
	"TE with a tab":           {wireHead("POST", "/f/x", "Transfer-Encoding: \x0bchunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"TE with a space":         {wireHead("POST", "/f/x", "Transfer-Encoding : chunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"two CL":                  {wireHead("POST", "/f/x", "Content-Length: 3", "Content-Length: 0") + "abc" + wireGet("/f/smuggled")},
	"two CL, the same":        {wireHead("POST", "/f/x", "Content-Length: 3", "Content-Length: 3") + "abc" + wireGet("/f/smuggled")},
	"a list in CL":            {wireHead("POST", "/f/x", "Content-Length: 3, 3") + "abc" + wireGet("/f/smuggled")},
	"a sign in CL":            {wireHead("POST", "/f/x", "Content-Length: +3") + "abc" + wireGet("/f/smuggled")},
	"a negative CL":           {wireHead("POST", "/f/x", "Content-Length: -3") + "abc" + wireGet("/f/smuggled")},
	"hex in CL":               {wireHead("POST", "/f/x", "Content-Length: 0x3") + "abc" + wireGet("/f/smuggled")},
	"CL empty":                {wireHead("POST", "/f/x", "Content-Length:") + wireGet("/f/smuggled")},
	"CL too large":            {wireHead("POST", "/f/x", "Content-Length: 99999999999999999999") + wireGet("/f/smuggled")},
	"a bare LF":               {"GET /f/x HTTP/1.1\nHost: edge\r\n\r\n" + wireGet("/f/smuggled")},
	"a bare LF between":       {"POST /f/x HTTP/1.1\r\nHost: edge\r\nX: y\nContent-Length: 3\r\n\r\nabc" + wireGet("/f/smuggled")},
	"a bare LF at the end":    {"GET /f/x HTTP/1.1\r\nHost: edge\r\n\n" + wireGet("/f/smuggled")},
	"a bare CR":               {"GET /f/x HTTP/1.1\r\nHost: edge\r\nX: a\rContent-Length: 3\r\n\r\n" + wireGet("/f/smuggled")},
	"a CR too many":           {"GET /f/x HTTP/1.1\r\nHost: edge\r\r\n\r\n" + wireGet("/f/smuggled")},
	"NUL in a value":          {"GET /f/x HTTP/1.1\r\nHost: edge\r\nX: a\x00b\r\n\r\n" + wireGet("/f/smuggled")},
	"NUL in a name":           {"GET /f/x HTTP/1.1\r\nHost: edge\r\nX\x00: a\r\n\r\n" + wireGet("/f/smuggled")},
	"DEL in a value":          {"GET /f/x HTTP/1.1\r\nHost: edge\r\nX: a\x7fb\r\n\r\n" + wireGet("/f/smuggled")},
	"NUL in the target":       {"GET /f/x\x00 HTTP/1.1\r\nHost: edge\r\n\r\n" + wireGet("/f/smuggled")},
	"8 bits in a name":        {"GET /f/x HTTP/1.1\r\nHost: edge\r\nContent-Length\xa0: 3\r\n\r\nabc" + wireGet("/f/smuggled")},
	"a space before a colon":  {"POST /f/x HTTP/1.1\r\nHost: edge\r\nContent-Length : 3\r\n\r\nabc" + wireGet("/f/smuggled")},
	"a name without a colon":  {"GET /f/x HTTP/1.1\r\nHost: edge\r\nContent-Length\r\n\r\n" + wireGet("/f/smuggled")},
	"a colon without a name":  {"GET /f/x HTTP/1.1\r\nHost: edge\r\n: 3\r\n\r\n" + wireGet("/f/smuggled")},
	"a tab in the first line": {"GET\t/f/x\tHTTP/1.1\r\nHost: edge\r\n\r\n" + wireGet("/f/smuggled")},
	"two spaces":              {"GET  /f/x HTTP/1.1\r\nHost: edge\r\n\r\n" + wireGet("/f/smuggled")},
	"a space at the end":      {"GET /f/x HTTP/1.1 \r\nHost: edge\r\n\r\n" + wireGet("/f/smuggled")},
	"in parts":                {"POST /f/x HTTP/1.1\r\nHost: edge\r\nContent-Length: 3\r\nTransfer-Enc", "oding: chunked\r\n", "\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"after another":           {wireGet("/f/a"), wireHead("POST", "/f/x", "Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
	"behind another":          {wireGet("/f/a") + wireHead("POST", "/f/x", "Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n" + wireGet("/f/smuggled")},
}

// An edge says the same with a lane and without one.
func TestConversations(t *testing.T) {
	t.Parallel()
	p := pair{newSpoken(t, "fast_lane: true"), newSpoken(t, "fast_lane: false")}
	for _, table := range []map[string][]string{conversations, smuggled, spoiled} {
		for name, parts := range table {
			t.Run(name, func(t *testing.T) {
				if difference := p.differ(t, parts); difference != "" {
					t.Error(difference)
				}
			})
		}
	}
}

// splitter is the byte at which a fuzzed conversation is split in parts.
const splitter = "\xff"

func FuzzConversations(f *testing.F) {
	for _, table := range []map[string][]string{conversations, smuggled, spoiled} {
		for _, parts := range table {
			if text := strings.Join(parts, splitter); len(text) < 4096 {
				f.Add(text)
			}
		}
	}
	p := pair{newSpoken(f, "fast_lane: true"), newSpoken(f, "fast_lane: false")}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			t.Skip()
		}
		if difference := p.differ(t, strings.Split(text, splitter)); difference != "" {
			t.Errorf("%.2000q\n%s", text, difference)
		}
	})
}

// A request whose end is in doubt is answered with 400, and goes nowhere.
func TestSmuggled(t *testing.T) {
	s := newSpoken(t, "")
	for name, parts := range smuggled {
		t.Run(name, func(t *testing.T) {
			h := s.converse(t, parts)
			if !strings.Contains(h.said, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(h.said, "Connection: close\r\n") || !strings.Contains(h.said, "detail=refused") {
				t.Errorf("said %q", h.said)
			}
			if slices.ContainsFunc(h.asked, func(r string) bool { return r != `GET /a ""` }) {
				t.Errorf("forwarded %q", h.asked)
			}
		})
	}
}

// spoiled are bodies that their client spoilt.
var spoiled = map[string][]string{
	"no size":             {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "ZZ\r\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"an empty size":       {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "\r\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"0x":                  {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "0x3\r\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a negative size":     {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "-3\r\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a size too large":    {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "fffffffffffffffff\r\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a bare LF":           {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a bare LF after":     {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabc\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a bare CR":           {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3;\rabc\r\nabc\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"longer than it says": {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabcd\r\n0\r\n\r\n" + wireGet("/f/smuggled")},
	"a trailer of length": {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n" + wireGet("/f/smuggled")},
	"a bad trailer":       {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX\x00: y\r\n\r\n" + wireGet("/f/smuggled")},
	"a folded trailer":    {wireHead("POST", "/f/x", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n" + wireGet("/f/smuggled")},
}

// A body that its client spoilt is answered with 400, and is the end of the connection.
func TestSpoilt(t *testing.T) {
	s := newSpoken(t, "")
	for name, parts := range spoiled {
		t.Run(name, func(t *testing.T) {
			h := s.converse(t, parts)
			if !strings.HasPrefix(h.said, "HTTP/1.1 400 Bad Request\r\n") || strings.Count(h.said, "HTTP/1.1") != 1 {
				t.Errorf("said %q", h.said)
			}
			if len(h.asked) > 0 {
				t.Errorf("forwarded %q", h.asked)
			}
		})
	}
	if h := s.converse(t, []string{wireGet("/f/other")}); !strings.HasPrefix(h.said, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("the master is blamed: %q", h.said)
	}
}
