package pool

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/links"
	"pkgedge/origin/origintest"
	"pkgedge/origin/sample/tarball"
)

// linked is a master that answers every request with a body, in which MASTER is its URL,
// and a pool before it that passes paths below /-/.
func linked(t *testing.T, base, body string, fields ...string) (*behind, string) {
	t.Helper()
	var url string
	url = origintest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(fields); i += 2 {
			w.Header().Set(fields[i], strings.ReplaceAll(fields[i+1], "MASTER", url))
		}
		text := []byte(strings.ReplaceAll(body, "MASTER", url))
		if w.Header().Get("Content-Encoding") == "gzip" {
			text = tarball.Gzip(text)
		}
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusUnauthorized)
		}
		w.Write(text)
	}) + base
	b := newBehind(t, []string{url})
	b.cfg.Passes = func(path string) bool { return strings.HasPrefix(path, "/-/") || strings.HasSuffix(path, ".tgz") }
	return b, url
}

// The URLs that a client's program follows come to the edge. Those of a browser, and of
// others, stay; and so does all that is no JSON, or too long.
func TestLinksOfPassedResponses(t *testing.T) {
	const done = `{"loginUrl":"MASTER/login/x","doneUrl":"MASTER/-/v1/done?authId=x&a=%2f"}`
	const doneHere = `{"loginUrl":"MASTER/login/x","doneUrl":"EDGE/-/v1/done?authId=x&a=%2f"}`
	long := strings.Repeat(" ", links.MaxBody)
	for _, tt := range []struct {
		name, method, path, body, want string
		base                           string
		fields                         []string
	}{
		{name: "a login", method: "POST", path: "/-/v1/login", body: done, want: doneHere},
		{name: "a login below a base", method: "POST", path: "/-/v1/login", base: "/api/npm", body: done, want: doneHere},
		{name: "a login, gzip", method: "POST", path: "/-/v1/login", body: done, want: doneHere, fields: []string{"Content-Encoding", "gzip", "Content-Type", "application/json"}},
		{name: "a login in a coding that is not known here", method: "POST", path: "/-/v1/login", body: done, want: done, fields: []string{"Content-Encoding", "br"}},
		{name: "a publish that wants a second factor", method: "PUT", path: "/n", body: `{"authUrl":"MASTER/auth/x","doneUrl":"MASTER/-/v1/done?authId=x"}`, want: `{"authUrl":"MASTER/auth/x","doneUrl":"EDGE/-/v1/done?authId=x"}`},
		{name: "a tag that wants a second factor", method: "PUT", path: "/-/package/n/dist-tags/x", body: ` { "doneUrl" : "MASTER\u002f-\/v1/done" } `, want: ` { "doneUrl" : "EDGE/-/v1/done" } `},
		{name: "tokens", method: "GET", path: "/-/npm/v1/tokens", body: `{"objects":[{"urls":{"next":"MASTER/-/x"}}],"urls":{"next":"MASTER/-/npm/v1/tokens?page=1"}}`, want: `{"objects":[{"urls":{"next":"MASTER/-/x"}}],"urls":{"next":"EDGE/-/npm/v1/tokens?page=1"}}`},
		{name: "another origin", method: "POST", path: "/-/v1/login", body: `{"doneUrl":"https://auth.example/-/v1/done"}`, want: `{"doneUrl":"https://auth.example/-/v1/done"}`},
		{name: "a path", method: "POST", path: "/-/v1/login", body: `{"doneUrl":"/-/v1/done"}`, want: `{"doneUrl":"/-/v1/done"}`},
		{name: "a URL that the edge would not pass", method: "POST", path: "/-/v1/login", body: `{"doneUrl":"MASTER/done/1"}`, want: `{"doneUrl":"MASTER/done/1"}`},
		{name: "elsewhere in the document", method: "POST", path: "/-/v1/login", body: `{"a":{"doneUrl":"MASTER/-/x"},"b":["doneUrl","MASTER/-/x"]}`, want: `{"a":{"doneUrl":"MASTER/-/x"},"b":["doneUrl","MASTER/-/x"]}`},
		{name: "half a document", method: "POST", path: "/-/v1/login", body: done[:len(done)-1], want: done[:len(done)-1]},
		{name: "a page", method: "POST", path: "/-/v1/login", body: "<p>MASTER/-/v1/done", want: "<p>MASTER/-/v1/done", fields: []string{"Content-Type", "text/html"}},
		{name: "too long", method: "POST", path: "/-/v1/login", body: long + done, want: long + done},
		{name: "too long, of a length that is not told", method: "POST", path: "/-/v1/login", body: long + done, want: long + done, fields: []string{"Transfer-Encoding", "chunked"}},
		{name: "nothing", method: "POST", path: "/-/v1/login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, master := linked(t, tt.base, tt.body, tt.fields...)
			sent := ""
			if tt.method != http.MethodGet {
				sent = "{}"
			}
			resp, body, err := b.send(t, tt.method, tt.path, sent, "Accept-Encoding: gzip, br")
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("MASTER", master, "EDGE", origintest.PublicBase).Replace(tt.want)
			if tt.base != "" {
				want = strings.ReplaceAll(want, "/api/npm/api/npm", "/api/npm")
			}
			if body != want {
				t.Errorf("%.300q; want %.300q", body, want)
			}
			if n := resp.ContentLength; n >= 0 && n != int64(len(body)) {
				t.Errorf("the length is %d of %d", n, len(body))
			}
		})
	}
}

func TestLinkFieldOfPassedResponses(t *testing.T) {
	b, master := linked(t, "", "{}", "Link", `<MASTER/-/npm/v1/tokens?page=2>; rel="next", <https://x.example/>; rel=help, <MASTER/n>; rel=up, <`)
	resp, _, err := b.send(t, "GET", "/-/npm/v1/tokens", "")
	want := fmt.Sprintf(`<%s/-/npm/v1/tokens?page=2>; rel="next", <https://x.example/>; rel=help, <%s/n>; rel=up, <`, origintest.PublicBase, master)
	if err != nil || resp.Header.Get("Link") != want {
		t.Errorf("%q, %v; want %q", resp.Header.Get("Link"), err, want)
	}
}

// Every endpoint of npm whose response may hold such a URL has it looked through.
func TestEveryEndpointWithLinks(t *testing.T) {
	b := newBehind(t, []string{"http://a.example"})
	for _, line := range []string{
		"POST /-/v1/login", "GET /-/v1/done?authId=x", "PUT /-/user/org.couchdb.user:me", "DELETE /-/user/token/x", "GET /-/whoami",
		"GET /-/npm/v1/user", "POST /-/npm/v1/user", "POST /-/npm/v1/tokens", "DELETE /-/npm/v1/tokens/token/x", "POST /-/npm/v1/hooks/hook",
		"PUT /n", "PUT /n/-rev/1", "DELETE /n/-rev/1", "DELETE /n/-/n-1.0.0.tgz/-rev/1", "GET /n?write=true", "PUT /-/package/n/dist-tags/x", "DELETE /-/package/n/dist-tags/x",
		"POST /-/package/n/access", "GET /-/package/n/collaborators", "POST /-/package/n/trust", "PUT /-/org/o/user", "PUT /-/team/o/t/user", "POST /-/stage/package/n", "POST /-/x/y",
	} {
		method, path, _ := strings.Cut(line, " ")
		path, query, _ := strings.Cut(path, "?")
		r := b.kind.Route(kind.Request{Method: method, Path: path, Query: query, Header: http.Header{}})
		if r.Class != kind.PassPrimary || len(r.Links) == 0 {
			t.Errorf("%s: %+v", line, r)
		}
	}
}
