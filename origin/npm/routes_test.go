package npm

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"pkgedge/origin/npm/packument"
)

const abbreviatedList = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"

func get(path string) kind.Request { return kind.Request{Method: "GET", Path: path} }

// request reads "METHOD path?query".
func request(line string) kind.Request {
	method, target, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(target, "?")
	return kind.Request{Method: method, Path: path, Query: query, Header: http.Header{}}
}

func TestCacheableEndpoints(t *testing.T) {
	k := newKind("http://edge.example")
	tests := []struct {
		path             string // of the request
		what, key, asked string
		group            string
	}{
		{"/react", "packument", "packument/react", "/react", "react"},
		{"/@s/n", "packument", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/@s%2fn", "packument", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/@s%2Fn", "packument", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/%40s%2fn", "packument", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/%40s%2Fn", "packument", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/%40s/n", "packument", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/r%65act", "packument", "packument/react", "/react", "react"},
		{"/react?cache=no&x=/../y", "packument", "packument/react", "/react", "react"},
		{"/npm", "packument", "packument/npm", "/npm", "npm"},
		{"/-", "packument", "packument/-", "/-", "-"},

		{"/react/18.0.0", "version", "packument/react", "/react", "react"},
		{"/react/latest", "version", "packument/react", "/react", "react"},
		{"/react/^1.0.0%20%7C%7C%202", "version", "packument/react", "/react", "react"},
		{"/@s%2fn/1.0.0", "version", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/@s/n/1.0.0", "version", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/n/1.0.0+b?x", "version", "packument/n", "/n", "n"},

		{"/react/-/react-1.0.0.tgz", "tarball", "tarball/react/react-1.0.0.tgz", "/react/-/react-1.0.0.tgz", "react"},
		{"/@s/n/-/n-1.0.0.tgz", "tarball", "tarball/@s/n/n-1.0.0.tgz", "/@s/n/-/n-1.0.0.tgz", "@s/n"},
		{"/@s%2fn/-/n-1.0.0.tgz", "tarball", "tarball/@s/n/n-1.0.0.tgz", "/@s/n/-/n-1.0.0.tgz", "@s/n"},
		{"/@s%2Fn/%2d/n-1.0.0.tgz?t=1", "tarball", "tarball/@s/n/n-1.0.0.tgz", "/@s/n/-/n-1.0.0.tgz", "@s/n"},
		{"/@s/n/-/@s/n-1.0.0.tgz", "tarball", "tarball/@s/n/@s/n-1.0.0.tgz", "/@s/n/-/@s/n-1.0.0.tgz", "@s/n"},
		{"/%40s%2fn/%2D/%40s/n-1%2b2.tgz?x", "tarball", "tarball/@s/n/@s/n-1+2.tgz", "/@s/n/-/@s/n-1+2.tgz", "@s/n"},
		{"/@s/n/-/@s%2fn-1.0.0.tgz", "tarball", "tarball/@s/n/@s%2fn-1.0.0.tgz", "/@s/n/-/@s%2fn-1.0.0.tgz", "@s/n"},
		{"/@s/n/-/%40s%2Fn%231.tgz", "tarball", "tarball/@s/n/@s%2fn#1.tgz", "/@s/n/-/@s%2fn%231.tgz", "@s/n"},
		{"/n/-/n-1%2B2.tgz", "tarball", "tarball/n/n-1+2.tgz", "/n/-/n-1+2.tgz", "n"},
		{"/n/-/n%20%23.tgz", "tarball", "tarball/n/n #.tgz", "/n/-/n%20%23.tgz", "n"},
		{"/n/-/\u00e9.tgz", "tarball", "tarball/n/\u00e9.tgz", "/n/-/%C3%A9.tgz", "n"},
		{"/n/-/n-1.tar.gz", "tarball", "tarball/n/n-1.tar.gz", "/n/-/n-1.tar.gz", "n"},
		{"/-/-/--0.0.1.tgz", "tarball", "tarball/-/--0.0.1.tgz", "/-/-/--0.0.1.tgz", "-"},

		{"/-/package/react/dist-tags", "dist-tags", "packument/react", "/react", "react"},
		{"/-/package/@s%2fn/dist-tags", "dist-tags", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/-/package/@s/n/dist-tags", "dist-tags", "packument/@s/n", "/@s%2fn", "@s/n"},
		{"/%2d/package/%40s%2Fn/dist%2dtags", "dist-tags", "packument/@s/n", "/@s%2fn", "@s/n"},

		{"/-/npm/v1/keys", "keys", "keys", "/-/npm/v1/keys", ""},
		{"/-/npm/v1/attestations/n@1.0.0", "attestations", "attestations/n@1.0.0", "/-/npm/v1/attestations/n@1.0.0", "n"},
		{"/-/npm/v1/attestations/@s/n@1.0.0", "attestations", "attestations/@s/n@1.0.0", "/-/npm/v1/attestations/@s%2fn@1.0.0", "@s/n"},
		{"/-/npm/v1/attestations/@s%2Fn%401.0.0", "attestations", "attestations/@s/n@1.0.0", "/-/npm/v1/attestations/@s%2fn@1.0.0", "@s/n"},

		{"/JSONStream", "packument", "packument/JSONStream", "/JSONStream", "JSONStream"},
		{"/!", "packument", "packument/!", "/!", "!"},
		{"/n~(x)*'!", "packument", "packument/n~(x)*'!", "/n~(x)*'!", "n~(x)*'!"},
		{"/n%7Ex", "packument", "packument/n~x", "/n~x", "n~x"},
		{"/@s/n~x", "packument", "packument/@s/n~x", "/@s%2fn~x", "@s/n~x"},
		{"/@s/_n", "packument", "packument/@s/_n", "/@s%2f_n", "@s/_n"},
		{"/-x", "packument", "packument/-x", "/-x", "-x"},
		{"/3", "packument", "packument/3", "/3", "3"},
		{"/constructor", "packument", "packument/constructor", "/constructor", "constructor"},
		{"/x.._", "packument", "packument/x.._", "/x.._", "x.._"},
		{"/" + strings.Repeat("n", 255), "packument", "packument/" + strings.Repeat("n", 255), "/" + strings.Repeat("n", 255), strings.Repeat("n", 255)},
	}
	for _, test := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			r := k.Route(request(method + " " + test.path))
			class := kind.Metadata
			if test.what == "tarball" {
				class = kind.File
			}
			key, _, _ := strings.Cut(r.Key, suffixByte)
			if r.Class != class || r.Endpoint != test.what || key != test.key || r.Path != test.asked || r.Group != test.group {
				t.Errorf("%s %s: got %+v\nwant class %d what %q key %q path %q group %q",
					method, test.path, r, class, test.what, test.key, test.asked, test.group)
			}
			if r.InFeed != strings.HasPrefix(key, "packument/") {
				t.Errorf("%s %s: named by a feed: %v", method, test.path, r.InFeed)
			}
			if len(r.Invalidates) != 0 || r.Reply.Status != 0 || r.Log != "" {
				t.Errorf("%s %s: unwanted parts: %+v", method, test.path, r)
			}
		}
	}
}

func TestPassedEndpoints(t *testing.T) {
	metadata := func(n string) []kind.Invalidation { return []kind.Invalidation{{Scope: kind.GroupMetadata, Name: n}} }
	files := func(names ...string) (marks []kind.Invalidation) {
		for _, n := range names {
			marks = append(marks, kind.Invalidation{Scope: kind.OneKey, Name: "tarball/" + n})
		}
		return marks
	}
	everything := func(n string) []kind.Invalidation { return []kind.Invalidation{{Scope: kind.GroupAll, Name: n}} }
	k := newKind("http://edge.example")
	tests := []struct {
		request string
		what    string
		asked   string
		touches []kind.Invalidation
	}{
		{"GET /n?write=true", "packument", "/n?write=true", nil},
		{"HEAD /@s/n?write=true", "packument", "/@s%2fn?write=true", nil},
		{"GET /%40s%2Fn?a=1&write=true", "packument", "/@s%2fn?a=1&write=true", nil},
		{"GET /n/1.0.0?write=true", "version", "/n/1.0.0?write=true", nil},
		{"GET /-/package/n/dist-tags?write=true", "dist-tags", "/-/package/n/dist-tags?write=true", nil},

		{"PUT /n", "publish", "/n", metadata("n")},
		{"PUT /@s%2Fn", "publish", "/@s%2fn", metadata("@s/n")},
		{"PUT /@s/n/-rev/7-abc", "update", "/@s%2fn/-rev/7-abc", metadata("@s/n")},
		{"PUT /n/-rev/undefined", "update", "/n/-rev/undefined", metadata("n")},
		{"DELETE /@s%2fn/-rev/7-abc", "unpublish", "/@s%2fn/-rev/7-abc", everything("@s/n")},
		{"DELETE /@s/n/-/n-1.0.0.tgz/-rev/7-abc", "unpublish", "/@s/n/-/n-1.0.0.tgz/-rev/7-abc",
			append(files("@s/n/n-1.0.0.tgz", "@s/n/@s/n-1.0.0.tgz", "@s/n/@s%2fn-1.0.0.tgz"), metadata("@s/n")...)},
		{"DELETE /%40s%2fn/-/n-1.0.0.tgz/-rev/7-abc", "unpublish", "/@s/n/-/n-1.0.0.tgz/-rev/7-abc",
			append(files("@s/n/n-1.0.0.tgz", "@s/n/@s/n-1.0.0.tgz", "@s/n/@s%2fn-1.0.0.tgz"), metadata("@s/n")...)},
		{"DELETE /n/-/n-1.0.0.tgz/-rev/7-abc", "unpublish", "/n/-/n-1.0.0.tgz/-rev/7-abc", append(files("n/n-1.0.0.tgz"), metadata("n")...)},
		{"DELETE /n", "package", "/n", everything("n")},
		{"POST /n", "package", "/n", everything("n")},
		{"PATCH /n/x/y", "package", "/n/x/y", everything("n")},
		{"PUT /n/latest", "package", "/n/latest", everything("n")},
		{"OPTIONS /n", "package", "/n", nil},
		{"GET /n/-rev/7", "package", "/n/-rev/7", nil},
		{"GET /@s/n/-/@t/n-1.0.0.tgz", "package", "/@s/n/-/@t/n-1.0.0.tgz", nil},
		{"GET /@s/n/-/@S/n-1.0.0.tgz", "package", "/@s/n/-/@S/n-1.0.0.tgz", nil},
		{"GET /@s/n/-/@s/n/n-1.0.0.tgz", "package", "/@s/n/-/@s/n/n-1.0.0.tgz", nil},
		{"GET /@s/n/-/@s/n%2fn-1.0.0.tgz", "package", "/@s/n/-/@s/n%2fn-1.0.0.tgz", nil},
		{"GET /@s/n/-/@s%2fn%2fn-1.0.0.tgz", "package", "/@s/n/-/@s%2fn%2fn-1.0.0.tgz", nil},
		{"GET /n/-/@s/n-1.0.0.tgz", "package", "/n/-/@s/n-1.0.0.tgz", nil},
		{"PUT /@s/n/-/@s/n-1.0.0.tgz", "package", "/@s/n/-/@s/n-1.0.0.tgz", everything("@s/n")},
		{"GET /n/feat%2fx", "package", "/n/feat%2fx", nil},

		{"PUT /-/package/@s/n/dist-tags/beta", "dist-tags", "/-/package/@s%2fn/dist-tags/beta", metadata("@s/n")},
		{"POST /-/package/n/dist-tags", "dist-tags", "/-/package/n/dist-tags", metadata("n")},
		{"DELETE /-/package/n/dist-tags/feat%2Fx", "dist-tags", "/-/package/n/dist-tags/feat%2fx", metadata("n")},
		{"GET /-/package/n/dist-tags/beta", "dist-tags", "/-/package/n/dist-tags/beta", nil},
		{"GET /-/package/n/visibility", "access", "/-/package/n/visibility", nil},
		{"GET /-/package/@s%2Fn/collaborators?format=cli", "access", "/-/package/@s%2fn/collaborators?format=cli", nil},
		{"POST /-/package/@s%2Fn/access", "access", "/-/package/@s%2fn/access", everything("@s/n")},
		{"POST /-/package/n/visibility", "access", "/-/package/n/visibility", everything("n")},
		{"GET /-/package/n/trust", "trust", "/-/package/n/trust", nil},
		{"DELETE /-/package/n/trust/7", "trust", "/-/package/n/trust/7", nil},
		{"GET /-/package/.bad/x", "package", "/-/package/.bad/x", nil},

		{"GET /-/whoami", "whoami", "/-/whoami", nil},
		{"GET /-/npm/v1/user", "user", "/-/npm/v1/user", nil},
		{"POST /-/npm/v1/user", "user", "/-/npm/v1/user", nil},
		{"GET /-/npm/v1/tokens?perPage=9", "tokens", "/-/npm/v1/tokens?perPage=9", nil},
		{"POST /-/npm/v1/tokens", "tokens", "/-/npm/v1/tokens", nil},
		{"PUT /-/user/org.couchdb.user:me", "login", "/-/user/org.couchdb.user:me", nil},
		{"GET /-/user/org.couchdb.user:me?write=true", "login", "/-/user/org.couchdb.user:me?write=true", nil},
		{"PUT /-/user/org.couchdb.user%3ame/-rev/7", "login", "/-/user/org.couchdb.user:me/-rev/7", nil},
		{"GET /-/user/me/package", "user", "/-/user/me/package", nil},
		{"GET /-/org/o/package", "org", "/-/org/o/package", nil},
		{"PUT /-/team/o/t/user", "team", "/-/team/o/t/user", nil},
		{"GET /-/_view/starredByUser?key=%22me%22", "view", "/-/_view/starredByUser?key=%22me%22", nil},
		{"GET /-/npm/v1/hooks", "hooks", "/-/npm/v1/hooks", nil},
		{"POST /-/npm/v1/hooks/hook", "hooks", "/-/npm/v1/hooks/hook", nil},
		{"POST /-/npm/v1/oidc/token/exchange/package/@s%2fn", "oidc", "/-/npm/v1/oidc/token/exchange/package/@s%2fn", nil},
		{"POST /-/stage/1/approve", "stage", "/-/stage/1/approve", nil},
		{"POST /-/npm/v1/keys", "other", "/-/npm/v1/keys", nil},
		{"GET /-/npm/v1/attestations/nothing", "other", "/-/npm/v1/attestations/nothing", nil},
		{"GET /-/npm/v1/security/audits", "audit", "/-/npm/v1/security/audits", nil},
		{"POST /-/v1/search", "other", "/-/v1/search", nil},
		{"PUT /-/ping", "other", "/-/ping", nil},
		{"GET /-/npm/v2/x", "other", "/-/npm/v2/x", nil},
		{"GET /-/a%2525%2fb%3F", "other", "/-/a%2525%2fb%3F", nil},
		{"GET /-/x?q=\u00e9", "other", "/-/x?q=%C3%A9", nil},
		{`GET /-/x?q=\`, "other", "/-/x?q=%5C", nil},
	}
	for _, test := range tests {
		r := k.Route(request(test.request))
		if r.Class != kind.PassPrimary || r.Endpoint != test.what || r.Path != test.asked || !slices.Equal(r.Invalidates, test.touches) {
			t.Errorf("%s: got %+v\nwant what %q path %q touches %v", test.request, r, test.what, test.asked, test.touches)
		}
		if r.Key != "" || r.Log != "" {
			t.Errorf("%s: has a key or a log path: %+v", test.request, r)
		}
	}
}

func TestAnyMasterAnswersSearchAndAudit(t *testing.T) {
	k := newKind("http://edge.example")
	for _, line := range []string{
		"GET /-/v1/search?text=a%20b&size=20&from=0",
		"POST /-/npm/v1/security/advisories/bulk",
		"POST /-/npm/v1/security/audits",
		"POST /-/npm/v1/security/audits/quick",
	} {
		r := k.Route(request(line))
		_, target, _ := strings.Cut(line, " ")
		if r.Class != kind.PassAny || r.Path != target {
			t.Errorf("%s: got %+v", line, r)
		}
	}
}

func TestLocalAndOff(t *testing.T) {
	k := newKind("http://edge.example")
	for _, line := range []string{"GET /", "HEAD /", "GET /-/ping", "GET /-/ping?write=true", "HEAD /%2d/ping"} {
		r := k.Route(request(line))
		if r.Class != kind.Local || r.Reply.Status != 200 || r.Reply.Text != "{}" || r.Reply.ContentType != "application/json" {
			t.Errorf("%s: got %+v", line, r)
		}
	}
	for _, line := range []string{
		"GET /-/all", "GET /-/all/since?startkey=1", "GET /_changes", "POST /_changes",
		"GET /_changes?feed=continuous", "GET /registry/_changes", "GET /%5Fchanges/x",
	} {
		r := k.Route(request(line))
		if r.Class != kind.Off || r.Reply.Status != 404 || r.Reply.Text == "" {
			t.Errorf("%s: got %+v", line, r)
		}
	}
}

func TestTokensStayOutOfLogs(t *testing.T) {
	k := newKind("http://edge.example")
	for _, line := range []string{
		"DELETE /-/user/token/s3cret",
		"DELETE /-/user/token/a/s3cret",
		"DELETE /-/user/%74oken/s3cret",
		"DELETE /-/user/token/s3cret?a b",
		"DELETE /-/user/token/s3cret%zz",
		"DELETE /-/user/token/s3cret/",
		"BREW /-/user/Token/s3cret",
		"DELETE /-/npm/v1/tokens/token/s3cret",
		"DELETE /-/npm/v1%2Ftokens/token/s3cret%00",
		"DELETE /-/npm/v1/t%6fkens/token/s3cret",
		"GET /-/v1/done?sessionId=s3cret",
		"GET /-/v1/done/s3cret",
		"POST /-/v1/login",
	} {
		r := k.Route(request(line))
		if r.Log == "" || strings.Contains(r.Log, "s3cret") {
			t.Errorf("%s: is logged as %q", line, r.Log)
		}
		if r.Class == kind.PassPrimary && strings.Contains(line, "s3cret") && !strings.Contains(r.Path, "s3cret") {
			t.Errorf("%s: the token is lost: %q", line, r.Path)
		}
	}
}

func TestRefused(t *testing.T) {
	k := newKind("http://edge.example")
	tests := []struct {
		request string
		status  int
	}{
		{"TRACE /n", 405}, {"CONNECT /n", 405}, {"COPY /n", 405}, {"get /n", 405}, {" /n", 405}, {"POST /", 405},
		{"GET ", 400}, {"GET n", 400}, {"OPTIONS *", 400}, {"GET http://h.example/n", 400},
		{"GET /..", 400}, {"GET /.", 400}, {"GET /../n", 400}, {"GET /n/..", 400}, {"GET /n/../m", 400},
		{"GET /%2e%2E", 400}, {"GET /n/%2e./x", 400}, {"GET /n/.%2E", 400}, {"GET /n%2f..", 400},
		{"GET /n/..%2fx", 400}, {"GET /n/-/..%2f..%2fx.tgz", 400}, {"GET /@s%2f..", 400}, {"GET /@s%2f../n", 400},
		{"GET /n/-/..%5cx.tgz", 400}, {"GET /n\\x", 400}, {"GET /n%5Cx", 400},
		{"GET /n%00", 400}, {"GET /n\x00", 400}, {"GET /n\r\nX: y", 400}, {"GET /n%0d%0aX", 400}, {"GET /n\x7f", 400},
		{"GET /n%7f", 400}, {"GET /n%", 400}, {"GET /n%2", 400}, {"GET /n%zz", 400}, {"GET /n%2gx", 400},
		{"GET /n%ff", 400}, {"GET /\xff", 400}, {"GET /n#x", 400}, {"GET /n/-/%c0%ae%c0%ae", 400},
		{"GET /n/%252e%252e", 400}, {"GET /n/-/a%252fb.tgz", 400}, {"GET /@s%2fn/-/%25", 400},
		{"PUT /n?a\r\nb", 400}, {"GET /-/v1/search?text=a b", 400}, {"PUT /n?x#y", 400}, {"PUT /n?\x01", 400},
		{"GET /" + strings.Repeat("/n", 5000)[1:], 414},

		{"GET /@s%252fn", 404}, {"GET /%2540s/n", 404}, {"GET /n%2fm", 404}, {"GET /@s%2fn%2fm", 404},
		{"GET /@s", 404}, {"GET /@", 404}, {"GET /@/n", 404}, {"GET /@%2fn", 404}, {"GET /@s%2f", 404}, {"GET /@s%2f/n", 404},
		{"GET /@.s/n", 404}, {"GET /@s/.n", 404}, {"GET /.n", 404}, {"GET /...", 404}, {"GET /_n", 404}, {"PUT /_session", 404},
		{"GET /_all_docs", 404}, {"GET /_users/org.couchdb.user:me", 404},
		{"GET /node_modules", 404}, {"GET /Node_Modules", 404}, {"GET /favicon.ico", 404}, {"GET /favicon.ico/x", 404},
		{"GET /n%20m", 404}, {"GET /a+b", 404}, {"GET /a:b", 404}, {"GET /a@1.0.0", 404}, {"GET /@s/@n", 404},
		{"GET /%3Cscript%3E", 404}, {"GET /caf\u00e9", 404}, {"GET /a$b", 404}, {"GET /%22", 404},
		{"GET /" + strings.Repeat("n", 256), 404}, {"GET /@s/" + strings.Repeat("n", 253), 404},
	}
	for _, test := range tests {
		r := k.Route(request(test.request))
		if r.Class != kind.Refuse || r.Reply.Status != test.status || r.Reply.Text == "" || strings.ContainsAny(r.Reply.Text, "\r\n") {
			t.Errorf("%q: got %+v, want %d", test.request, r, test.status)
		}
		if r.Key != "" || r.Path != "" || r.Invalidates != nil {
			t.Errorf("%q: refused, yet it has more: %+v", test.request, r)
		}
	}
}

func TestLongFileNameIsRefused(t *testing.T) {
	k := newKind("http://edge.example")
	long := strings.Repeat("f", packument.MaxFile+1)
	for _, path := range []string{"/n/" + long, "/n/-/" + long} {
		if r := k.Route(get(path)); r.Class != kind.Refuse || r.Reply.Status != http.StatusRequestURITooLong {
			t.Errorf("%.20s…: got class %d, status %d", path, r.Class, r.Reply.Status)
		}
	}
}

func TestHotRoutesAllocateLittle(t *testing.T) {
	k := newKind("http://edge.example")
	for _, path := range []string{"/react", "/@s%2fn", "/@s/n", "/react/-/react-1.0.0.tgz", "/@s/n/-/n-1.0.0.tgz"} {
		r := request("GET " + path)
		r.Header["Accept"] = []string{abbreviatedList}
		if n := testing.AllocsPerRun(100, func() { k.Route(r) }); n > 2 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, line := range []string{
		"GET /@s%2fn", "GET /%40s/n/-/n-1.tgz", "GET /n/latest?write=true", "DELETE /n/-/f/-rev/1", "GET /-/-/x",
		"GET /-/npm/v1/attestations/@s%2fn@1", "PUT /-/package/@s/n/dist-tags/x", "GET /n/%2e%2e", "GET /@s%252fn",
		"GET /-/v1/search?text=\u00e9", "GET /n/-/%c3%a9", "TRACE /", "GET /_changes", "GET /-/user/token/%00", `PUT /n?a\b`,
	} {
		r := request(line)
		f.Add(r.Method, r.Path, r.Query, abbreviatedList)
	}
	k := newKind("http://edge.example")
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		r := k.Route(kind.Request{Method: method, Path: path, Query: query, Header: http.Header{"Accept": {accept}}})
		if (r.Key != "") != r.Class.Cacheable() {
			t.Fatalf("class %d with key %q", r.Class, r.Key)
		}
		switch r.Class {
		case kind.Refuse, kind.Off:
			if r.Reply.Status < 400 || r.Reply.Status > 499 || r.Reply.Text == "" {
				t.Fatalf("bad refusal: %+v", r)
			}
			return
		case kind.Local:
			return
		}
		for i := range len(r.Path) {
			if c := r.Path[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '\\' {
				t.Fatalf("path %q has byte %#x", r.Path, c)
			}
		}
		if r.Path == "" || r.Path[0] != '/' {
			t.Fatalf("path %q has no slash before it", r.Path)
		}
		again, query, _ := strings.Cut(r.Path, "?")
		if r.Class.Cacheable() {
			query, method = "", "GET"
		}
		b := k.Route(kind.Request{Method: method, Path: again, Query: query, Header: http.Header{"Accept": {accept}}})
		if b.Key != r.Key || b.Path != r.Path || b.Class != r.Class || b.Group != r.Group || b.Variant != r.Variant && r.Subdocument.Name == "" ||
			!slices.Equal(b.Invalidates, r.Invalidates) {
			t.Fatalf("not stable:\n%+v\n%+v", r, b)
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	k := newKind("http://edge.example")
	for name, path := range map[string]string{
		"packument": "/react", "scoped": "/@babel%2fcore", "tarball": "/@babel/core/-/core-7.0.0.tgz", "version": "/npm/latest",
	} {
		r := request("GET " + path)
		r.Header["Accept"] = []string{abbreviatedList}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Route(r)
			}
		})
	}
}

// Registries answer every way to write the slashes of a path alike, and so do we.
func TestSlashes(t *testing.T) {
	k := newKind("http://edge.example")
	for _, line := range []string{
		"GET /left-pad", "GET /@s/n", "GET /@s%2fn", "GET /left-pad/1.3.0", "GET /@s/n/latest", "GET /@s%2Fn/1.0.0",
		"GET /left-pad/-/left-pad-1.3.0.tgz", "GET /@s/n/-/n-1.0.0.tgz", "GET /@s/n/-/@s/n-1.0.0.tgz", "GET /@s%2fn/-/@s%2fn-1.0.0.tgz", "HEAD /left-pad",
		"GET /-", "GET /-/-/--1.0.0.tgz",
		"GET /-/ping", "GET /-/whoami", "GET /-/all", "GET /-/v1/search?text=a", "GET /-/package/@s%2fn/dist-tags", "GET /-/package/n/dist-tags",
		"GET /-/npm/v1/keys", "GET /-/npm/v1/attestations/@s%2fn@1.0.0", "GET /-/npm/v1/attestations/@s/n@1.0.0", "POST /-/npm/v1/security/advisories/bulk",
		"POST /-/npm/v1/security/audits/quick", "POST /-/v1/login", "GET /-/v1/done?authId=x", "GET /-/npm/v1/tokens", "DELETE /-/npm/v1/tokens/token/secret",
		"DELETE /-/user/token/secret", "PUT /-/user/org.couchdb.user:me", "GET /-/org/acme/user", "GET /_changes", "GET /registry/_changes", "GET /-/x/y",
		"PUT /n", "PUT /@s%2fn", "PUT /n/-rev/1-a", "DELETE /n/-rev/1-a", "DELETE /n/-/n-1.0.0.tgz/-rev/1-a", "PUT /-/package/n/dist-tags/next", "GET /n?write=true",
	} {
		want := k.Route(request(line))
		method, target, _ := strings.Cut(line, " ")
		path, query, _ := strings.Cut(target, "?")
		var written []string
		for _, p := range append(kindtest.Slashes(path), path) {
			written = append(written, p, p+"/", p+"//")
		}
		for _, p := range written {
			if r := k.Route(request(method + " " + p + "?" + query)); !reflect.DeepEqual(r, want) || r.Class == kind.Refuse {
				t.Errorf("%s %s: %+v; want %+v", method, p, r, want)
			}
		}
	}
	for _, path := range []string{"//", "///"} {
		if r := k.Route(get(path)); r.Class != kind.Local || r.Endpoint != "root" {
			t.Errorf("%s: %+v", path, r)
		}
	}
	for _, path := range []string{"//..", "/n//../m", "/n/..//", "//%2e%2e//", "/n%2f%2f", "/%2f/n", "/@s//"} { // nothing else is let through with them
		if r := k.Route(get(path)); r.Class != kind.Refuse {
			t.Errorf("%s: %+v", path, r)
		}
	}
}
