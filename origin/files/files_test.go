package files_test

import (
	"net/http"
	"testing"

	"pkgedge/origin/files"
	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
)

func TestRoutes(t *testing.T) {
	d := files.Descriptor()
	k, err := d.New(kind.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []kind.Request
	for _, tt := range []struct {
		method, path, query string
		class               kind.Class
		key, touches        string
	}{
		{"GET", "/a%2fb", "", kind.File, "/a%2fb", ""},
		{"GET", "/a/", "", kind.File, "/a/", ""},
		{"GET", "//a//b//", "", kind.File, "//a//b//", ""},
		{"HEAD", "/a", "x=1", kind.File, "/a?x=1", ""},
		{"OPTIONS", "/a", "", kind.PassPrimary, "", ""},
		{"PUT", "/a", "x", kind.PassPrimary, "", "/a?x"},
		{"DELETE", "/a", "", kind.PassPrimary, "", "/a"},
		{"BREW", "/a", "", kind.PassPrimary, "", "/a"},
		{"TRACE", "/a", "", kind.Refuse, "", ""},
		{"CONNECT", "/a", "", kind.Refuse, "", ""},
		{"GET", "/a", "é\\", kind.File, `/a?%C3%A9%5C`, ""},
		{"PUT", "/a", "é", kind.PassPrimary, "", "/a?%C3%A9"},
		{"GET", "/a", "b HTTP/1.1 c", kind.Refuse, "", ""},
		{"PUT", "/a", "b HTTP/1.1 c", kind.Refuse, "", ""},
	} {
		request := kind.Request{Method: tt.method, Path: tt.path, Query: tt.query, Header: http.Header{}}
		all = append(all, request)
		r := k.Route(request)
		touches := ""
		for _, m := range r.Invalidates {
			touches += m.Name
		}
		if r.Class != tt.class || r.Key != tt.key || touches != tt.touches || r.Transparent != r.Class.Cacheable() {
			t.Errorf("%s %s: %+v", tt.method, tt.path, r)
		}
	}
	kindtest.Describes(t, d, k, all)
	kindtest.Hostile(t, k, all[:4])
}

// Paths that a server could take for one above the root, in every class.
func TestPathsStayBelowTheRoot(t *testing.T) {
	k := files.Kind{}
	for _, path := range []string{
		"/..", "/.", "/../private/s", "/a/../../private", "/%2e%2e/private", "/.%2E/private", "/..%2fprivate", "/..%2Fprivate", "/a/..%2f..%2fprivate",
		"/%2e%2e%2fprivate", "/..%5cprivate", `/..\private`, "/a%5c..%5cb", "/..;/private", "/..;x=1/private", "/%2e%2e;/private", "/..%3b/private", "/;/../private", "/a;/..;/..;/private",
		"/..%00/private", "/a%00.txt", "/a%0d%0ab", "/a%7f", "/%c0%ae%c0%ae/private", "/..%c0%afprivate", "/..%c1%9cprivate", "/%e0%80%ae./private", "/%f0%80%80%ae./private",
		"//../private", "/a//..//..//private", "/./private", "/a/.", "/a/..", "/a/%2e", "a", "", "/%", "/%2", "/%zz", "/a b", "/\xff", "/a?b", "/a#b",
	} {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "BREW"} {
			if r := k.Route(kind.Request{Method: method, Path: path}); r.Class != kind.Refuse || r.Reply.Status != http.StatusBadRequest {
				t.Errorf("%s %q: %+v; want 400", method, path, r)
			}
		}
	}
	for _, path := range []string{
		"/", "//", "/...", "/.../a", "/..a", "/a..", "/.a", "/.well-known/x", "/a;b", "/a;..", "/;a", "/a.;b", "/caf%c3%a9", "/caf%e9", "/%e0", "/%c0", "/a%2fb", "/a%2f.b", "/%252e%252e/x", "/a%252f..b", "/~a/+b@c:d,e=f&g!h$i'j(k)*",
	} {
		if r := k.Route(kind.Request{Method: "GET", Path: path}); r.Class != kind.File || r.Key != path || r.Path != path {
			t.Errorf("%q: %+v; want a file", path, r)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	k, r := files.Kind{}, kind.Request{Method: "GET", Path: "/v20.1.0/some/longer/path/to/a/file-20.1.0-linux-x64.tar.gz"}
	b.ReportAllocs()
	for b.Loop() {
		k.Route(r)
	}
}
