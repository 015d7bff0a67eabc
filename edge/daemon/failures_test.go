package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"pkgedge/cache/purge"
	"pkgedge/edge/accesslog"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// logged is a text that several goroutines write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines are those that hold a word.
func (l *logged) lines(word string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return found
}

// newLogged is an edge in front of masters, one for each role, with its logs.
func newLogged(t *testing.T, roles []string, keys string) (s *served, log, access *logged) {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	s = &served{behind: &behind{store: store}, client: edgetest.NewClient(t, nil)}
	text := "sites: [{ name: npm, probe: { every: 1h }, masters: ["
	for i, role := range roles {
		s.masters[i] = faults.NewMaster(store)
		if s.servers[i], err = s.masters[i].Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.servers[i].Close)
		text += fmt.Sprintf("{ url: %q, role: %s },", s.servers[i].URL(), role)
	}
	cfg := configured(t, "admin: { listen: '' }\n"+text+"], "+keys+" }]\n")
	cfg.Cache.Memory, cfg.Cache.Disk = 1<<20, 0
	log, access = new(logged), new(logged)
	s.edge = newTestDaemon(t, cfg, slog.New(slog.NewJSONHandler(log, nil)))
	s.edge.out = accesslog.NewWriter(access)
	cfg.PublicURL = &url.URL{Scheme: "http", Host: cfg.Listen}
	s.edge.openTestCache(t)
	s.url = cfg.PublicURL.String()
	serveEdge(t, s.edge)
	return s, log, access
}

const (
	ofWords   = "/edge-sample-words"
	wordsFile = "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"
)

// Each failure is told in words: to the client without names, and to the log with them.
func TestAFailureIsToldInWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		fault    faults.Fault
		refuse   bool
		keys     string
		document string // of a packument
		file     string // of a tarball; "" for the same
		status   int
		proxy    string // Proxy-Status
	}{
		{name: "500", fault: faults.Status(500), document: "the registry answered 500", status: 503, proxy: "received-status=500"},
		{name: "429", fault: faults.Status(429), document: "the registry answered 429", status: 503, proxy: "received-status=429"},
		{name: "a page", fault: faults.HTML(), document: "the registry answered with an HTML page instead of a package document", file: "the registry answered with an HTML page instead of a file", status: 503},
		{name: "hangs", fault: faults.Hang(), keys: "timeouts: { first_byte: 250ms }", document: "the registry did not answer within ", status: 504, proxy: "http_response_timeout"},
		{name: "refuses", refuse: true, document: "the registry refused the connection", status: 503, proxy: "connection_refused"},
		{name: "drops", fault: faults.Drop(), document: "the registry closed the connection without an answer", status: 503, proxy: "connection_terminated"},
		{name: "cuts", fault: faults.CutAfter(10), document: "the registry broke its answer off", status: 503, proxy: "http_response_incomplete"},
		{name: "stalls", fault: faults.HangAfter(10), keys: "timeouts: { idle: 250ms }", document: "the registry stopped in the middle of its answer", status: 504, proxy: "connection_read_timeout"},
		{name: "lies", fault: faults.FlipByte(-3), document: "the registry answered with unusable metadata", file: "the registry answered with a wrong file", status: 503},
	} {
		for _, path := range []string{ofWords, wordsFile} {
			t.Run(tt.name+path, func(t *testing.T) {
				s, log, access := newLogged(t, []string{"primary"}, tt.keys)
				want := tt.document
				if path == wordsFile {
					if tt.file != "" {
						want = tt.file
					}
					s.get(t, ofWords)
				}
				if tt.refuse {
					s.servers[0].Refuse()
				} else {
					s.masters[0].Break(faults.Any, tt.fault)
				}
				resp, body := s.get(t, path)
				var doc struct{ Error string }
				if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != tt.status || !strings.HasPrefix(doc.Error, want) || !strings.HasSuffix(doc.Error, ", and no copy is stored here") {
					t.Errorf("%d %q, %v; want %d %s", resp.StatusCode, body, err, tt.status, want)
				}
				if got := resp.Header.Get("Proxy-Status"); !strings.Contains(got, tt.proxy) {
					t.Errorf("Proxy-Status %q; want %s", got, tt.proxy)
				}
				lines := log.lines(`"path":"` + path + `"`)
				if len(lines) != 1 || !strings.Contains(lines[0], `"level":"WARN"`) || !strings.Contains(lines[0], `"master":"`+s.servers[0].URL()) || !strings.Contains(lines[0], "a master failed a request") {
					t.Errorf("the log has %q", lines)
				}
				edgetest.Until(t, "the line of the access log", func() bool { return len(access.lines(fmt.Sprintf(`"status":%d`, tt.status))) == 1 })
				for _, text := range append(append(access.lines(""), log.lines("")...), body) {
					if strings.Contains(text, "owner") || strings.ContainsAny(text, "\x00\x01") || strings.Contains(text, `\u0000`) || strings.Contains(text, `\u0001`) {
						t.Errorf("there is an internal key in %q", text)
					}
				}
				if strings.Contains(body, s.servers[0].URL()) {
					t.Errorf("a client is told of %s", s.servers[0].URL())
				}
			})
		}
	}
}

func TestAFailureOfSeveralNamesTheirRoles(t *testing.T) {
	s, log, _ := newLogged(t, []string{"primary", "replica"}, "")
	s.servers[1].Refuse()
	s.masters[0].Break(faults.Any, faults.Status(500))
	_, body := s.get(t, ofWords)
	for _, want := range []string{"primary answered 500", "replica refused the connection"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q; want %s", body, want)
		}
	}
	// One line for each master and sort of failure, however many requests fail.
	for i := range 5 {
		s.get(t, fmt.Sprintf("/none-%d", i))
	}
	for i := range s.servers {
		if lines := log.lines(`"master":"` + s.servers[i].URL() + `","role"`); len(lines) != 1 {
			t.Errorf("the log has %q", lines)
		}
	}
}

// A request that goes to the primary alone says so.
func TestAFailedWriteNamesThePrimary(t *testing.T) {
	s, log, _ := newLogged(t, []string{"primary", "replica"}, "")
	s.servers[0].Refuse()
	for _, tt := range []struct{ method, path, want string }{
		{http.MethodPut, "/edge-mine", "the registry's primary refused the connection: the publish was not sent"},
		{http.MethodGet, "/-/whoami", "the registry's primary refused the connection"},
		{http.MethodDelete, "/-/user/token/s3cret", "the registry's primary refused the connection: the logout was not sent"},
	} {
		status, body := s.as(t, "", tt.method, tt.path)
		if status != http.StatusServiceUnavailable || body != `{"error":"`+tt.want+"\"}\n" {
			t.Errorf("%s %s: %d %q", tt.method, tt.path, status, body)
		}
	}
	if lines := log.lines("s3cret"); len(lines) > 0 {
		t.Errorf("the log has a secret: %q", lines)
	}
}

// npm prints the reason.
func TestNPMPrintsTheReason(t *testing.T) {
	t.Parallel()
	b := newBehind(t)
	n := newNPM(t, b.url)
	for _, tt := range []struct {
		name  string
		match faults.Match
		fault faults.Fault
		want  string
	}{
		{"a packument", faults.Path("/edge-sample-app"), faults.HTML(), "answered with an HTML page instead of a package document"},
		{"a tarball", faults.Suffix("edge-sample-app-1.0.0.tgz"), faults.Status(500), "every server of the registry that was asked answered 500"},
	} {
		rules := []interface{ Mend() }{b.masters[0].Break(tt.match, tt.fault), b.masters[1].Break(tt.match, tt.fault)}
		if _, err := n.run(t, project(t, app), "install"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, r := range rules {
			r.Mend()
		}
	}
}

// A stale answer says in its line why it is one: the masters failed, or have something older.
func TestAStaleAnswerSaysWhy(t *testing.T) {
	s, _, access := newLogged(t, []string{"primary"}, "")
	s.get(t, ofWords)
	if err := s.edge.cache.Purge(purge.Purge{Scope: purge.Site, Site: "npm", Soft: true}); err != nil {
		t.Fatal(err)
	}
	s.masters[0].Break(faults.Any, faults.Status(500))
	if resp, _ := s.get(t, ofWords); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d", resp.StatusCode)
	}
	stale := func() []string { return access.lines(`"outcome":"stale-error"`) }
	edgetest.Until(t, "the line of the stale answer", func() bool { return len(stale()) == 1 })
	if line := stale()[0]; !strings.Contains(line, `"error":"`) || !strings.Contains(line, "answered 500") {
		t.Errorf("the line gives no reason: %s", line)
	}
}
