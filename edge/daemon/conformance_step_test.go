package daemon

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
)

// step is one request, the origin's replies to the edge's requests for it, and the
// response that the client must get. Without replies the origin must not be asked.
type step struct {
	method, path string
	fields       []string
	replies      []reply
	apart        bool // in a crowd, every copy may be forwarded by itself
	later        bool // the replies are to a request that no client waits for
	fails        bool // the fetch fails
	again        int  // how often the edge's transport may repeat the request

	sees    []string // fields of every request to the origin
	status  int
	wanted  []string // fields of the response
	content *string
	says    []string // parameters of Cache-Status
	early   []string // interim responses
	broken  bool     // the client must not take it for whole
}

// get is a GET of "/x". A field is "Name: value".
func get(fields ...string) step { return request(http.MethodGet, fields...) }

func request(method string, fields ...string) step {
	return step{method: method, path: "/x", fields: fields, status: http.StatusOK}
}

// at changes the path.
func (s step) at(path string) step { s.path = path; return s }

// reply adds a reply of the origin, with a body that no other reply of the row has.
func (s step) reply(status int, fields ...string) step {
	s.replies = append(slices.Clone(s.replies), reply{status: status, fields: fields})
	return s
}

func (s step) last() *reply { return &s.replies[len(s.replies)-1] }

// with gives the last reply its body.
func (s step) with(body string) step { s.last().body = body; return s }

// chunked leaves the length of the last reply open.
func (s step) chunked() step { s.last().chunked = true; return s }

// short cuts n bytes off the last reply's body, and the connection with them.
func (s step) short(n int) step { s.last().short, s.fails, s.broken = n, true, true; return s }

// hints lets a 103 with that Link precede the last reply.
func (s step) hints(links ...string) step { s.last().interim, s.early = links, links; return s }

// drop makes the origin close the connection in place of an answer. On a
// connection that was used before, that counts for nothing and is tried again
// (RFC 9112 section 9.3.1).
func (s step) drop() step {
	s.replies, s.fails, s.again = append(slices.Clone(s.replies), reply{drop: true}), true, 1
	return s
}

// background says that no client waits for the replies.
func (s step) background() step { s.later = true; return s }

// each allows every copy a request of its own: the response is not to be
// shared, or not fresh once it is there.
func (s step) each() step { s.apart = true; return s }

// failing says that the fetch fails although a reply came.
func (s step) failing() step { s.fails = true; return s }

// seen lists the fields that the origin's requests must have: "Name: value", or "!Name".
func (s step) seen(fields ...string) step { s.sees = fields; return s }

// want is the status and the fields that the client must get: "Name: value", "Name: *", or "!Name".
func (s step) want(status int, fields ...string) step { s.status, s.wanted = status, fields; return s }

func (s step) body(text string) step { s.content = &text; return s }

// tells lists the parameters that Cache-Status must have for a request that comes
// alone.
func (s step) tells(params ...string) step { s.says = params; return s }

// hit is an answer from the store, fresh or stale.
func (s step) hit() step { return s.tells("hit") }

// ago and ahead are HTTP-dates.
func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(http.TimeFormat) }

func ahead(d time.Duration) string { return ago(-d) }

// check looks at the parts of a response that are the same for every copy.
func (s step) check(t testing.TB, a *answered, slack int) {
	t.Helper()
	if s.broken {
		// Where the origin breaks off before the edge has begun to answer, it
		// can still say so.
		if a.err == nil && a.StatusCode != http.StatusBadGateway {
			t.Errorf("status %d, and a body that ends well: %q", a.StatusCode, a.body)
		}
		return
	}
	if a.err != nil {
		t.Errorf("no whole response: %v", a.err)
		return
	}
	if a.StatusCode != s.status {
		t.Errorf("status %d; want %d (%v, %q)", a.StatusCode, s.status, a.Header, a.body)
	}
	if s.content != nil && a.body != *s.content {
		t.Errorf("body %q; want %q", a.body, *s.content)
	}
	shared := slices.DeleteFunc(slices.Clone(s.wanted), func(f string) bool { return strings.Contains(f, "Age") })
	checkFields(t, "the response", a.Header, shared, slack)
}

// checkAlone looks at the parts that only a client without company gets for sure.
func (s step) checkAlone(t testing.TB, a *answered, slack int) {
	t.Helper()
	if a.Response == nil || s.broken {
		return
	}
	checkFields(t, "the response", a.Header, s.wanted, slack)
	var early []string
	for _, link := range s.early {
		early = append(early, "103 "+link)
	}
	if !slices.Equal(a.interim, early) {
		t.Errorf("interim responses %q; want %q", a.interim, early)
	}
	params := edgeParams(t, a.Header)
	if params == nil {
		return
	}
	for _, want := range s.says {
		name, value, valued := strings.Cut(want, "=")
		got, ok := params.Get(name)
		switch {
		case strings.HasPrefix(name, "!"):
			if _, ok := params.Get(name[1:]); ok {
				t.Errorf("Cache-Status %q; want no %s", a.Header["Cache-Status"], name[1:])
			}
		case !ok:
			t.Errorf("Cache-Status %q; want %s", a.Header["Cache-Status"], want)
		case valued && !near(sfText(got), value, slack):
			t.Errorf("Cache-Status %q; want %s", a.Header["Cache-Status"], want)
		}
	}
}

// checkForwardStatus: fwd-status is the status of the origin's answer, and is left
// out only where it is the response's own (RFC 9211 section 2.3).
func (s step) checkForwardStatus(t testing.TB, a *answered) {
	t.Helper()
	if a.Response == nil || len(s.replies) == 0 || s.later || s.last().drop {
		return
	}
	params := edgeParams(t, a.Header)
	if params == nil {
		return
	}
	if _, forwarded := params.Get("fwd"); !forwarded {
		return
	}
	told, ok := params.Get("fwd-status")
	if !ok {
		told = int64(a.StatusCode)
	}
	if told != int64(s.last().status) {
		t.Errorf("Cache-Status %q tells that the origin answered %v; it was %d", a.Header["Cache-Status"], told, s.last().status)
	}
}

// checkFields compares fields: a value of "*" is any; Age may have grown by slack.
func checkFields(t testing.TB, of string, h http.Header, want []string, slack int) {
	t.Helper()
	for _, line := range want {
		name, value, _ := strings.Cut(line, ": ")
		absent := strings.HasPrefix(name, "!")
		got, ok := h[http.CanonicalHeaderKey(strings.TrimPrefix(name, "!"))]
		joined := strings.Join(got, ", ")
		switch {
		case absent && ok:
			t.Errorf("%s has %s %q; want none", of, name[1:], joined)
		case absent:
		case !ok:
			t.Errorf("%s has no %s; want %q (%v)", of, name, value, h)
		case value != "*" && joined != value && !(name == "Age" && near(joined, value, slack)):
			t.Errorf("%s has %s %q; want %q", of, name, joined, value)
		}
	}
}

// near says that got is want, or a number no further from it than slack, which is how many
// seconds have passed since the row began: ages grow and lifetimes shrink meanwhile.
func near(got, want string, slack int) bool {
	g, err1 := strconv.Atoi(got)
	w, err2 := strconv.Atoi(want)
	if err1 != nil || err2 != nil {
		return got == want
	}
	return max(g-w, w-g) <= slack
}

// sfText writes a bare item as text.
func sfText(v any) string {
	switch v := v.(type) {
	case httpsfv.Token:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case string:
		return v
	}
	return "?"
}

// edgeParams parses Cache-Status (RFC 9211 section 2) and returns the
// parameters of its last member, which must be the edge's.
func edgeParams(t testing.TB, h http.Header) *httpsfv.Params {
	t.Helper()
	list, err := httpsfv.UnmarshalList(h["Cache-Status"])
	if err != nil || len(list) == 0 {
		t.Errorf("Cache-Status %q is no list of structured fields: %v", h["Cache-Status"], err)
		return nil
	}
	item, ok := list[len(list)-1].(httpsfv.Item)
	if !ok || item.Value != httpsfv.Token("edge") {
		t.Errorf("Cache-Status %q does not end with the edge's member", h["Cache-Status"])
		return nil
	}
	return item.Params
}
