package sample_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

const payload = "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz"

// broken is a server whose every answer has the faults, and a right answer.
func broken(t *testing.T, path string, wrongs ...faults.Fault) (c *http.Client, url string, right reply) {
	t.Helper()
	m, s := serve(t, samples(t))
	c = client(t)
	c.Transport.(*http.Transport).DisableKeepAlives = true // it logs the rest of a body of a wrong length
	right = send(t, c, "GET", s.URL()+path, "")
	m.Break(faults.Any, wrongs...)
	return c, s.URL() + path, right
}

func TestFaultsOfAWholeAnswer(t *testing.T) {
	for _, tc := range []struct {
		rule   string
		faults []faults.Fault
		holds  func(got, right reply) bool
	}{
		{"Status answers with an error", []faults.Fault{faults.Status(503)}, func(got, _ reply) bool {
			return got.status == 503 && string(got.body) == `{"error":"Service Unavailable"}` && got.header.Get("Etag") == ""
		}},
		{"404 has the registry's shape", []faults.Fault{faults.Status(404)}, func(got, _ reply) bool {
			return got.status == 404 && string(got.body) == `{"error":"Not found"}`
		}},
		{"429 is a page, and may say when", []faults.Fault{faults.Status(429), faults.Set("Retry-After", "2")}, func(got, _ reply) bool {
			return got.status == 429 && got.header.Get("Retry-After") == "2" && bytes.HasPrefix(got.body, []byte("<!doctype"))
		}},
		{"HTML is 200 with a page", []faults.Fault{faults.HTML()}, func(got, _ reply) bool {
			return got.status == 200 && strings.HasPrefix(got.header.Get("Content-Type"), "text/html")
		}},
		{"NotModified answers 304 unasked", []faults.Fault{faults.NotModified()}, func(got, _ reply) bool {
			return got.status == 304 && len(got.body) == 0
		}},
		{"Empty ends at once, cleanly", []faults.Fault{faults.Empty()}, func(got, right reply) bool {
			return got.status == 200 && got.length == 0 && got.header.Get("Etag") == right.header.Get("Etag")
		}},
		{"ShortBody ends early, cleanly", []faults.Fault{faults.ShortBody(100)}, func(got, right reply) bool {
			return got.cut == nil && got.length == 100 && bytes.Equal(got.body, right.body[:100])
		}},
		{"CutAfter ends early, uncleanly", []faults.Fault{faults.CutAfter(100)}, func(got, right reply) bool {
			return errors.Is(got.cut, io.ErrUnexpectedEOF) && got.length == int64(len(right.body)) && bytes.Equal(got.body, right.body[:100])
		}},
		{"WrongLength announces too much", []faults.Fault{faults.WrongLength(7)}, func(got, right reply) bool {
			return errors.Is(got.cut, io.ErrUnexpectedEOF) && got.length == int64(len(right.body))+7 && bytes.Equal(got.body, right.body)
		}},
		{"WrongLength announces too little", []faults.Fault{faults.WrongLength(-7)}, func(got, right reply) bool {
			return got.cut == nil && bytes.Equal(got.body, right.body[:len(right.body)-7])
		}},
		{"FlipByte changes one byte", []faults.Fault{faults.FlipByte(-1)}, func(got, right reply) bool {
			last := len(right.body) - 1
			return len(got.body) == last+1 && bytes.Equal(got.body[:last], right.body[:last]) && got.body[last] == ^right.body[last]
		}},
		{"BadGzip cannot be unpacked", []faults.Fault{faults.BadGzip()}, func(got, _ reply) bool {
			r, err := gzip.NewReader(bytes.NewReader(got.body))
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			return got.header.Get("Content-Encoding") == "gzip" && err != nil
		}},
		{"GzipBomb grows a thousandfold", []faults.Fault{faults.GzipBomb(8)}, func(got, _ reply) bool {
			r, err := gzip.NewReader(bytes.NewReader(got.body))
			if err != nil {
				return false
			}
			n, err := io.Copy(io.Discard, r)
			return err == nil && n == 8<<20 && len(got.body) < 16<<10
		}},
		{"Redirect goes elsewhere", []faults.Fault{faults.Redirect("http://other.example/x")}, func(got, _ reply) bool {
			return got.status == 302 && got.header.Get("Location") == "http://other.example/x"
		}},
		{"RedirectLoop goes nowhere", []faults.Fault{faults.RedirectLoop()}, func(got, _ reply) bool {
			return got.status == 302 && got.header.Get("Location") == "/registry"+payload
		}},
		{"Set sets", []faults.Fault{faults.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), faults.Set("set-cookie", "a=b")}, func(got, right reply) bool {
			return got.header.Get("Date") == "Thu, 01 Jan 1970 00:00:00 GMT" && got.header.Get("Set-Cookie") == "a=b" && bytes.Equal(got.body, right.body)
		}},
		{"Set removes", []faults.Fault{faults.Set("Etag", ""), faults.Set("Date", ""), faults.Set("Content-Type", "")}, func(got, _ reply) bool {
			return got.header.Values("Etag") == nil && got.header.Values("Date") == nil && got.header.Values("Content-Type") == nil
		}},
		{"HugeHeader is huge", []faults.Fault{faults.HugeHeader(100_000)}, func(got, _ reply) bool {
			return len(got.header.Get("X-Huge")) == 100_000
		}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			c, url, right := broken(t, payload, tc.faults...)
			got := send(t, c, "GET", url, "")
			if !tc.holds(got, right) {
				t.Errorf("got %d, length %d, %d bytes (%v), %v", got.status, got.length, len(got.body), got.cut, got.header)
			}
			if right.status != 200 || len(right.body) < 300_000 {
				t.Errorf("the right answer was wrong: %d, %d bytes", right.status, len(right.body))
			}
		})
	}
}

func TestDropSendsNothing(t *testing.T) {
	c, url, _ := broken(t, payload, faults.Drop())
	if got, err := try(t, c, "GET", url, ""); !errors.Is(err, io.EOF) {
		t.Errorf("got %d, %v", got.status, err)
	}
}

func TestRedirectLoopEndsOnlyInTheClient(t *testing.T) {
	c, url, _ := broken(t, payload, faults.RedirectLoop())
	c.CheckRedirect = nil
	if got, err := try(t, c, "GET", url, ""); err == nil {
		t.Errorf("got %d", got.status)
	}
}

// Each hang is started twice: once the client goes, once the server closes.
// That the handlers ended is for Server.Close to wait for, and for goleak.
func TestHangsEndWithClientOrServer(t *testing.T) {
	for rule, tc := range map[string]struct {
		fault   faults.Fault
		headers bool // these come
		bytes   int  // of the body
	}{
		"Hang":          {faults.Hang(), false, 0},
		"HangInHeaders": {faults.HangInHeaders(), false, 0},
		"HangAfter":     {faults.HangAfter(1000), true, 1000},
		"HangAfter 0":   {faults.HangAfter(0), true, 0},
		"Hold":          {faults.Hold(faults.NewGate()), false, 0},
		"Drip":          {faults.Drip(faults.NewGate(), 1), true, 0},
	} {
		for _, leaver := range []string{"client", "server"} {
			t.Run(rule+", the "+leaver+" leaves", func(t *testing.T) {
				m, s := serve(t, samples(t))
				m.Break(faults.Suffix(".tgz"), tc.fault)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				leave := cancel
				if leaver == "server" {
					leave = s.Close
				}
				req, err := http.NewRequestWithContext(ctx, "GET", s.URL()+payload, nil)
				if err != nil {
					t.Fatal(err)
				}
				left := make(chan struct{})
				go func() {
					defer close(left)
					if !tc.headers {
						<-m.Arrived(faults.Suffix(".tgz"))
						leave()
					}
				}()
				resp, err := client(t).Do(req)
				<-left
				if !tc.headers {
					if err == nil {
						t.Errorf("headers came: %d", resp.StatusCode)
						resp.Body.Close()
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if n, err := io.ReadFull(resp.Body, make([]byte, tc.bytes)); err != nil {
					t.Errorf("%d bytes came, %v", n, err)
				}
				leave()
				if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
					t.Errorf("after the hang came %d bytes, %v", n, err)
				}
			})
		}
	}
}

func TestHangInHeadersSendsHalfAHeader(t *testing.T) {
	m, s := serve(t, samples(t))
	m.Break(faults.Any, faults.HangInHeaders())
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/registry"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /registry/edge-sample-app HTTP/1.1\r\nHost: a.example\r\n\r\n")
	want := "HTTP/1.1 200 OK\r\nContent-Type: appl"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	s.Close()
	if n, err := conn.Read(got); n != 0 || err == nil {
		t.Errorf("then came %q", got[:n])
	}
}

func TestDripGoesStepByStep(t *testing.T) {
	m, s := serve(t, samples(t))
	gate := faults.NewGate()
	right := send(t, client(t), "GET", s.URL()+payload, "")
	m.Break(faults.Suffix(".tgz"), faults.Drip(gate, 1024))
	resp, err := client(t).Get(s.URL() + payload)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := make([]byte, 3*1024)
	gate.Step(3)
	if _, err := io.ReadFull(resp.Body, got); err != nil {
		t.Fatal(err)
	}
	gate.Open()
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(append(got, rest...), right.body) {
		t.Errorf("%d bytes after 3072, %v", len(rest), err)
	}
}

func TestHoldKeepsTheAnswerAsItWas(t *testing.T) {
	store := samples(t)
	m, s := serve(t, store)
	gate := faults.NewGate()
	words := faults.Path("/edge-sample-words")
	m.BreakNext(1, words, faults.Hold(gate))
	c := client(t)
	latest := func() string {
		got, err := try(t, c, "GET", s.URL()+"/edge-sample-words", "")
		if err != nil {
			return err.Error()
		}
		var doc packument
		if err := json.Unmarshal(got.body, &doc); err != nil {
			return err.Error()
		}
		return doc.Tags["latest"]
	}
	held := make(chan string)
	go func() { held <- latest() }()
	<-m.Arrived(words)
	if err := store.AddPackage("edge-sample-words", sample.Version{Number: "1.2.0"}); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != "1.2.0" {
		t.Errorf("the next request got %q", got)
	}
	gate.Step(1)
	if got := <-held; got != "1.1.0" {
		t.Errorf("the held request got %q", got)
	}
}

func TestRulesApplyOldestFirstAndEnd(t *testing.T) {
	m, s := serve(t, samples(t))
	c := client(t)
	get := func(path string) int { return send(t, c, "GET", s.URL()+path, "").status }
	m.BreakNext(2, faults.Prefix("/edge-sample-"), faults.Status(503))
	always := m.Break(faults.All(faults.Method("GET"), faults.Suffix("-app")), faults.Status(500))
	for i, want := range []int{503, 503, 500, 500} {
		if got := get("/edge-sample-app"); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	if got := get("/edge-sample-words"); got != 200 {
		t.Errorf("another path: %d", got)
	}
	if always.Hits() != 2 {
		t.Errorf("%d hits", always.Hits())
	}
	always.Mend()
	if got := get("/edge-sample-app"); got != 200 {
		t.Errorf("after the rule was mended: %d", got)
	}
	m.Break(faults.Any, faults.Status(401))
	m.Mend()
	if got := get("/edge-sample-app"); got != 200 {
		t.Errorf("after all was mended: %d", got)
	}
}

func TestAFaultMayLoseTheAnswerOfAWriteThatHappened(t *testing.T) {
	store := samples(t)
	m, s := serve(t, store)
	c := client(t)
	auth := "Authorization: Bearer " + store.Grant("writer")
	tag := func(tag string) (reply, error) {
		return try(t, c, "PUT", s.URL()+"/-/package/edge-sample-words/dist-tags/"+tag, `"1.0.0"`, auth)
	}
	m.BreakNext(1, faults.Method("PUT"), faults.Drop())
	if got, err := tag("lost"); err == nil {
		t.Fatalf("an answer came: %d", got.status)
	}
	m.BreakNext(1, faults.Method("PUT"), faults.Status(503))
	if got, err := tag("refused"); err != nil || got.status != 503 {
		t.Fatalf("%d, %v", got.status, err)
	}
	tags := decode[map[string]string](t, send(t, c, "GET", s.URL()+"/-/package/edge-sample-words/dist-tags", "").body)
	if tags["lost"] != "1.0.0" || tags["refused"] != "" {
		t.Errorf("tags are %v", tags)
	}
}

func TestRefuseAndResume(t *testing.T) {
	m, s := serve(t, samples(t))
	c := client(t)
	send(t, c, "GET", s.URL()+"/-/ping", "")
	url := s.URL()
	s.Refuse()
	s.Refuse()
	if _, err := try(t, c, "GET", url+"/-/ping", ""); err == nil {
		t.Error("a dead master answers")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if got := send(t, c, "GET", url+"/-/ping", ""); got.status != 200 || s.URL() != url {
		t.Errorf("%d at %s", got.status, s.URL())
	}
	if err := s.Resume(); err == nil {
		t.Error("a master that runs resumed")
	}
	s.Close()
	s.Close()
	if err := s.Resume(); !errors.Is(err, sample.ErrClosed) {
		t.Errorf("a closed master: %v", err)
	}
	if n := m.Count(faults.Path("/-/ping")); n != 2 {
		t.Errorf("%d pings", n)
	}
}
