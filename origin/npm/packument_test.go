package npm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/kind"
)

const testBase = "http://edge.example/registry"

// prepare runs Prepare for a package and returns the documents by variant.
func prepare(t testing.TB, path, body string) map[string]string {
	t.Helper()
	k := New(testBase)
	documents, err := k.Prepare(k.Route(get(path)), kind.Source{Body: []byte(body)})
	if err != nil {
		t.Fatalf("Prepare: %v\n%.500s", err, body)
	}
	return write(t, documents)
}

func write(t testing.TB, documents []kind.Document) map[string]string {
	t.Helper()
	byVariant := map[string]string{}
	for _, d := range documents {
		var b bytes.Buffer
		n, err := d.Body.WriteTo(&b)
		if err != nil || n != d.Size || int64(b.Len()) != d.Size {
			t.Fatalf("%q: wrote %d bytes, reported %d, size is %d: %v", d.Variant, b.Len(), n, d.Size, err)
		}
		byVariant[d.Variant] = b.String()
	}
	return byVariant
}

func TestFullDiffersOnlyInTarballs(t *testing.T) {
	const body = `{ "_id":"@s/n","name":"@s/n", "readme":"see https:\/\/m.example/@s/n/-/n-1.0.0.tgz é",
 "dist":{"tarball":"https://m.example/x/-/top.tgz"},
 "versions": {
  "1.0.0" : {"tarball":"https://m.example/a/b.tgz","x":{"dist":{"tarball":"https://m.example/a/b.tgz"}},
    "dist":{"tarball" : "https://m.example/@s/n/-/n-1.0.0.tgz","deep":{"tarball":"https://m.example/a/b.tgz"}}},
  "1.0.1":{"dist":{"tarball":"https://m.example/n-1.0.1.tgz?token=a/b#c/d"}},
  "1.0.2":{"dist":{"tarball":"https:\/\/m.example\/@s\/n\/-\/n-1.0.2.tgz"}},
  "1.0.3":{"d\u0069st":{"t\u0061rball":"https://m.example/n%2B1%20.tgz"}}
 } , "time":{} }
`
	want := strings.NewReplacer(
		`"tarball" : "https://m.example/@s/n/-/n-1.0.0.tgz"`, `"tarball" : "`+testBase+`/@s/n/-/n-1.0.0.tgz"`,
		`https://m.example/n-1.0.1.tgz?token=a/b#c/d`, testBase+`/@s/n/-/n-1.0.1.tgz`,
		`https:\/\/m.example\/@s\/n\/-\/n-1.0.2.tgz`, testBase+`/@s/n/-/n-1.0.2.tgz`,
		`https://m.example/n%2B1%20.tgz`, testBase+`/@s/n/-/n%2B1%20.tgz`,
	).Replace(body)
	if got := prepare(t, "/@s%2fn", body)[Full]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTarballValues(t *testing.T) {
	tests := []struct{ value, want string }{ // want "" means that it stays
		{`"https://m.example/n/-/n-1.tgz"`, `n-1.tgz`},
		{`"http://m.example:4873/n/-/N-01.0.tgz"`, `N-01.0.tgz`},
		{`"//m.example/n-1.tgz"`, `n-1.tgz`},
		{`"/n/-/n-1.tgz"`, `n-1.tgz`},
		{`"https://m.example/n-1.tgz?x=/y#/z"`, `n-1.tgz`},
		{`"https://m.example/n-1.tgz#/z?"`, `n-1.tgz`},
		{`"https://m.example/n-1+b~!$&'()*,;=:@.tgz"`, `n-1+b~!$&'()*,;=:@.tgz`},
		{`"https://m.example/n%2b%C3%A9.tgz"`, `n%2b%C3%A9.tgz`},
		{`"https://m.example/é.tgz"`, `é.tgz`},
		{`"https:\u002f\u002fm.example\u002fn\u002d1.tgz\u003fx"`, `n-1.tgz`},
		{`"https://m.example/\u00e9\"<.tgz"`, `é\"<.tgz`},
		{`"https://m.example/@s/n/-/@s%2fn-1.tgz"`, `@s%2fn-1.tgz`},
		{`"https://m.example/@s/n/-/@s/n-1.tgz"`, `n-1.tgz`},

		{`""`, ``}, {`"n-1.tgz"`, ``}, {`"https://m.example"`, ``}, {`"https://m.example?a/b"`, ``}, {`"https://m.example/"`, ``},
		{`"https://m.example/n/-/?n-1.tgz"`, ``}, {`"https://m.example/x/.."`, ``}, {`"https://m.example/%2e%2e"`, ``},
		{`"https://m.example/..%2fx"`, ``}, {`"https://m.example/a%2f"`, ``}, {`"https://m.example/a%5cb"`, ``}, {`"https://m.example/a\\b"`, ``},
		{`"https://m.example/a%00"`, ``}, {`"https://m.example/a\u0000"`, ``}, {`"https://m.example/a%"`, ``}, {`"https://m.example/a%2"`, ``},
		{`"https://m.example/a%zz"`, ``}, {`"https://m.example/a%252fb"`, ``}, {"\"https://m.example/\xff\"", ``}, {"\"https:\\/\\/m.example/\xff\"", ``},
		{`null`, ``}, {`7`, ``}, {`{"a":"https://m.example/n.tgz"}`, ``}, {`["https://m.example/n.tgz"]`, ``}, {`true`, ``},
		{`"https://m.example/` + strings.Repeat("x", 513) + `"`, ``},
	}
	for _, test := range tests {
		want := test.value
		if test.want != "" {
			want = `"` + testBase + `/n/-/` + test.want + `"`
		}
		const form = `{"name":"n","versions":{"1.0.0":{"dist":{"tarball":%s}}}}`
		got := prepare(t, "/n", fmt.Sprintf(form, test.value))
		if got[Full] != fmt.Sprintf(form, want) {
			t.Errorf("%s: got %s", test.value, got[Full])
		}
		if !strings.Contains(got[Abbreviated], fmt.Sprintf(`{"dist":{"tarball":%s}}`, want)) {
			t.Errorf("%s: got %s", test.value, got[Abbreviated])
		}
	}
}

// A URL that clients are given must be one that Route accepts.
func TestGivenTarballsCanBeAskedFor(t *testing.T) {
	k := New(testBase)
	for _, file := range []string{"n-1.tgz", "n%2b%C3%A9.tgz", "@s%2fn-1.tgz", "%40s%2Fn%2b1.tgz", "n'!*()~@$.tgz", "N-01.tar.gz", "n%20.tgz", "..n", "-"} {
		body := `{"name":"@s/n","versions":{"1.0.0":{"dist":{"tarball":"https://m.example/` + file + `","shasum":"` + strings.Repeat("ab", 20) + `"}}}}`
		got := prepare(t, "/@s/n", body)
		if !strings.Contains(got[Full], `"`+testBase+`/@s/n/-/`+file+`"`) {
			t.Errorf("%s: not rewritten: %s", file, got[Full])
		}
		r := k.Route(get("/@s/n/-/" + file))
		if _, ok := k.Digest(r, []byte(got[kind.Memo])); !ok || r.Class != kind.File {
			t.Errorf("%s: no digest in %q for %+v", file, got[kind.Memo], r)
		}
	}
}

func TestPublicBaseIsEscapedForJSON(t *testing.T) {
	k := New(`http://edge.example/"x\/`)
	documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(`{"name":"n","versions":{"1":{"dist":{"tarball":"/n/-/f"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"n","versions":{"1":{"dist":{"tarball":"http://edge.example/\"x\\/n/-/f"}}}}`
	if got := write(t, documents)[Full]; got != want {
		t.Errorf("got %s", got)
	}
}

func TestAbbreviatedText(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{
			"only the known members stay, as they are written",
			`{"_id":"n","_rev":"1","name":"n","description":"d","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"n","version":"1.0.0","description":"d","main":"m","dependencies":{"b":"<2", "a" :"1"},"gitHead":"x","dist":{"shasum":"x","tarball":"http://m.example/n/-/n-1.0.0.tgz","signatures":[{"keyid":"k","sig":"s"}]},"_npmUser":{"name":"u"}}},"readme":"r","time":{"created":"c","modified":"m"}}`,
			`{"name":"n","versions":{"1.0.0":{"name":"n","version":"1.0.0","dependencies":{"b":"<2", "a" :"1"},"dist":{"shasum":"x","tarball":"` + testBase + `/n/-/n-1.0.0.tgz","signatures":[{"keyid":"k","sig":"s"}]}}},"dist-tags":{"latest":"1.0.0"},"modified":"m"}`,
		},
		{
			"a fully unpublished packument has no versions",
			`{"_id":"n","name":"n","time":{"modified":"m","unpublished":{"time":"t"}}}`,
			`{"name":"n","versions":{},"dist-tags":{},"modified":"m"}`,
		},
		{
			"the name is taken from _id, and time.modified from modified",
			`{"_id":"n","versions":{},"modified":"2020","time":{"created":"c"}}`,
			`{"name":"n","versions":{},"dist-tags":{},"modified":"2020"}`,
		},
		{
			"time.modified wins over modified",
			`{"name":"n","time":{"modified":"t"},"modified":"m","versions":{}}`,
			`{"name":"n","versions":{},"dist-tags":{},"modified":"t"}`,
		},
		{
			"what is no date is left out",
			`{"name":"n","time":[1],"modified":7,"versions":{}}`,
			`{"name":"n","versions":{},"dist-tags":{}}`,
		},
		{
			"an install script is derived, with nothing else in the version too",
			`{"name":"n","versions":{"1":{"scripts":{"install":"x"}},"2":{"version":"2","scripts":{"test":"x","postinstall":"y"}},"3":{"scripts":{"preinstall":"x"},"version":"3"}}}`,
			`{"name":"n","versions":{"1":{"hasInstallScript":true},"2":{"version":"2","hasInstallScript":true},"3":{"version":"3","hasInstallScript":true}},"dist-tags":{}}`,
		},
		{
			"scripts that do not run on install, or are no scripts",
			`{"name":"n","versions":{"1":{"scripts":{"test":"install","prepare":"x","install":""}},"2":{"scripts":"install"},"3":{"scripts":["install"]},"4":{"scripts":null},"5":{"scripts":{"install":null}},"6":{"hasInstallScript":false}}}`,
			`{"name":"n","versions":{"1":{},"2":{},"3":{},"4":{},"5":{},"6":{}},"dist-tags":{}}`,
		},
		{
			"an install script cannot be denied",
			`{"name":"n","versions":{"1":{"hasInstallScript":false,"scripts":{"install":"x"}}}}`,
			`{"name":"n","versions":{"1":{"hasInstallScript":true}},"dist-tags":{}}`,
		},
		{
			"deprecated is a text that is not empty",
			`{"name":"n","versions":{"1":{"deprecated":"old"},"2":{"deprecated":""},"3":{"deprecated":false},"4":{"deprecated":true},"5":{"deprecated":null},"6":{"deprecated":"a","deprecated":""},"7":{"deprecated":"","deprecated":"b","os":[]},"8":{"deprecated":"a","deprecated":"b"}}}`,
			`{"name":"n","versions":{"1":{"deprecated":"old"},"2":{},"3":{},"4":{},"5":{},"6":{},"7":{"deprecated":"b","os":[]},"8":{"deprecated":"b"}},"dist-tags":{}}`,
		},
		{
			"libc, both spellings of bundled dependencies and _hasShrinkwrap are copied",
			`{"name":"n","versions":{"1":{"libc":["glibc"],"bundledDependencies":true,"bundleDependencies":["x"],"_hasShrinkwrap":false}}}`,
			`{"name":"n","versions":{"1":{"libc":["glibc"],"bundledDependencies":true,"bundleDependencies":["x"],"_hasShrinkwrap":false}},"dist-tags":{}}`,
		},
		{
			"old shapes stay: engines as a list, dependencies as objects, bin as text, versions that are none",
			`{"name":"n","versions":{"1":{"engines":["node >= 0.4"],"dependencies":{"a":{"version":"1"}},"bin":"x","dist":null,"directories":{}},"2":null,"3":[{"dist":{}}]}}`,
			`{"name":"n","versions":{"1":{"engines":["node >= 0.4"],"dependencies":{"a":{"version":"1"}},"bin":"x","dist":null,"directories":{}},"2":null,"3":[{"dist":{}}]},"dist-tags":{}}`,
		},
		{
			"nothing is escaped or unescaped",
			"{\"name\":\"n\",\"versions\":{\"1<\\u0026>\":{\"\\u006eame\":\"<&>\\u2028\\/\",\"engines\":{\"n\":1e400,\"x\":\"\xff\"}}}}",
			"{\"name\":\"n\",\"versions\":{\"1<\\u0026>\":{\"\\u006eame\":\"<&>\\u2028\\/\",\"engines\":{\"n\":1e400,\"x\":\"\xff\"}}},\"dist-tags\":{}}",
		},
		{
			"of two members of one name the last counts",
			`{"name":"x","versions":{"1":{"os":[]}},"dist-tags":{"a":"1"},"versions":{"2":{"os":[]}},"dist-tags":{"b":"2"},"name":"n"}`,
			`{"name":"n","versions":{"2":{"os":[]}},"dist-tags":{"b":"2"}}`,
		},
		{
			"of two times the last counts",
			`{"name":"n","time":{"modified":"a","unpublished":{}},"versions":{},"time":{"created":"c"}}`,
			`{"name":"n","versions":{},"dist-tags":{}}`,
		},
		{
			"white space around what is left out does no harm",
			"{\n\t\"name\" : \"n\" ,\n \"versions\" : {\n \"1\" : { \"x\" : 1 , \"os\" : [ ] , \"y\" : 2 , \"cpu\" : 3 } \n}\n}\n",
			"{\"name\":\"n\",\"versions\":{\"1\" : {\"os\" : [ ] , \"cpu\" : 3}},\"dist-tags\":{}}",
		},
		{
			"an abbreviated document stays one",
			`{"name":"n","dist-tags":{"latest":"1"},"versions":{"1":{"name":"n","version":"1","hasInstallScript":true,"dist":{"tarball":"/x/n-1.tgz"}}},"modified":"m"}`,
			`{"name":"n","versions":{"1":{"name":"n","version":"1","dist":{"tarball":"` + testBase + `/n/-/n-1.tgz"},"hasInstallScript":true}},"dist-tags":{"latest":"1"},"modified":"m"}`,
		},
	}
	for _, test := range tests {
		if got := prepare(t, "/n", test.body)[Abbreviated]; got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestPrepareRejects(t *testing.T) {
	const good = `{"name":"n","versions":{"1.0.0":{"name":"n","version":"1.0.0","dist":{"tarball":"/x/n.tgz"}}}}`
	type test struct {
		path, body string
		want       error
	}
	syntax := errors.New("a jsontext.SyntacticError")
	tests := []test{
		{"/n", `[]`, ErrDocument}, {"/n", `"x"`, ErrDocument}, {"/n", `null`, ErrDocument}, {"/n", `7`, ErrDocument},
		{"/n", `{}`, ErrDocument},
		{"/n", `{"error":"not_found"}`, ErrDocument},
		{"/n", `{"error":"x","versions":{}}`, ErrDocument},
		{"/n", `{"name":"m","versions":{}}`, ErrDocument},
		{"/n", `{"name":"N","versions":{}}`, ErrDocument},
		{"/n", `{"_id":"m","versions":{}}`, ErrDocument},
		{"/n", `{"_id":"n","name":"m","versions":{}}`, ErrDocument},
		{"/n", `{"_id":"n","name":null,"versions":{}}`, ErrDocument},
		{"/n", `{"name":7,"versions":{}}`, ErrDocument},
		{"/@s/n", `{"name":"n","versions":{}}`, ErrDocument},
		{"/n", `{"name":"n","versions":[]}`, ErrDocument}, {"/n", `{"name":"n","versions":null}`, ErrDocument},
		{"/n", `{"name":"n"}`, ErrDocument}, {"/n", `{"name":"n","time":{"unpublished":null}}`, ErrDocument},
		{"/n", `{"name":"n","time":{"unpublished":{}},"time":{}}`, ErrDocument},
		{"/n", good + `{}`, ErrDocument}, {"/n", good + `x`, syntax}, {"/n", good + "\x00", syntax},
		{"/n", `<html>`, syntax}, {"/n", "\ufeff" + good, syntax}, {"/n", `{"name":"n",}`, syntax}, {"/n", `{"name" "n"}`, syntax}, {"/n", `{7:1}`, syntax},
		{"/n", strings.Repeat(`[`, 20000), nil},
		{"/n", `{"name":"n","versions":{},"x":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}`, syntax},
		{"/n/1.0.0", `{"name":"n","version":"1.0.0"}`, ErrDocument}, {"/n/1.0.0", `"version not found: 1.0.0"`, ErrDocument},
		{"/-/package/n/dist-tags", `{"latest":"1.0.0"}`, ErrDocument},
		{"/-/npm/v1/keys", `{"error":"x"}`, ErrDocument}, {"/-/npm/v1/keys", ``, io.ErrUnexpectedEOF},
		{"/-/npm/v1/attestations/n@1", `"x"`, ErrDocument},
		{"/n/-/n.tgz", good, ErrDocument}, {"/-/whoami", `{}`, ErrDocument},
	}
	for i := range good {
		tests = append(tests, test{"/n", good[:i], io.ErrUnexpectedEOF})
	}
	for i := range `{"keys":[]}` {
		tests = append(tests, test{"/-/npm/v1/keys", `{"keys":[]}`[:i], io.ErrUnexpectedEOF})
	}
	k := New(testBase)
	for _, test := range tests {
		documents, err := k.Prepare(k.Route(get(test.path)), kind.Source{Body: []byte(test.body)})
		switch {
		case err == nil || documents != nil:
			t.Errorf("%s: %.80q is accepted", test.path, test.body)
		case len(err.Error()) > 500:
			t.Errorf("%s: an error of %d bytes", test.path, len(err.Error()))
		case test.want == syntax:
			if e := (*jsontext.SyntacticError)(nil); !errors.As(err, &e) {
				t.Errorf("%s: %.80q: got %v, want a syntactic error", test.path, test.body, err)
			}
		case test.want != nil && !errors.Is(err, test.want):
			t.Errorf("%s: %.80q: got %v, want %v", test.path, test.body, err, test.want)
		}
	}
}

func TestOtherMetadata(t *testing.T) {
	tests := []struct{ path, body, want string }{
		{"/-/npm/v1/keys", `{"keys":[{"keyid":"x"}]}`, `{"keys":[{"keyid":"x"}]}`},
		{"/-/npm/v1/attestations/n@1.0.0", "{\"attestations\":[]}\n", "{\"attestations\":[]}\n"},
	}
	for _, test := range tests {
		got := prepare(t, test.path, test.body)
		if len(got) != 1 || got[""] != test.want {
			t.Errorf("%s: got %q", test.path, got)
		}
	}
}

func TestContentTypes(t *testing.T) {
	k := New(testBase)
	documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(`{"name":"n","versions":{}}`)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range documents {
		got[d.Variant] = d.ContentType
	}
	want := map[string]string{
		Full: "application/json", Abbreviated: "application/vnd.npm.install-v1+json", kind.Memo: "text/plain; charset=utf-8",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

// With the option, the abbreviated form has "time" as the full one has it, and
// nothing else changes.
func TestTimeInTheAbbreviatedForm(t *testing.T) {
	now := at(t, "2024-06-10T00:00:00Z")
	for name, tt := range map[string]struct {
		body, time string
		policy     Policy
	}{
		"verbatim":    {`{"name":"n","time": {"modified":"2020-01-01T00:00:00.000Z" ,"1.0.0":"\u0032"} ,"versions":{"1.0.0":{}}}`, `{"modified":"2020-01-01T00:00:00.000Z" ,"1.0.0":"\u0032"}`, Policy{}},
		"none":        {`{"name":"n","versions":{"1.0.0":{}},"modified":"x"}`, ``, Policy{}},
		"no object":   {`{"name":"n","versions":{"1.0.0":{}},"time":[1, 2]}`, `[1, 2]`, Policy{}},
		"twice":       {`{"name":"n","time":{"a":"b"},"versions":{},"time":{"c":"d"}}`, `{"c":"d"}`, Policy{}},
		"unpublished": {`{"_id":"n","time":{"unpublished":{"name":"x"}}}`, `{"unpublished":{"name":"x"}}`, Policy{}},
		"withheld": {aged, `{"created":"2024-01-01T00:00:00Z","modified":"2024-06-10T00:00:00Z","1.0.0":"2024-01-01T00:00:00Z","1.1.0":"2024-02-01T00:00:00Z","1.10.0-rc.1":"2024-03-01T00:00:00Z"}`,
			Policy{MinimumAge: 24 * time.Hour, Deny: []string{"n@2.0.0-beta.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			plain := New(testBase).With(tt.policy)
			var got [2]map[string]string
			for i, k := range []*Kind{plain, plain.WithTime()} {
				documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(tt.body), Now: now})
				if err != nil {
					t.Fatal(err)
				}
				got[i] = write(t, documents)
			}
			want := got[0][Abbreviated]
			if strings.Contains(want, `"time"`) {
				t.Errorf("without the option: %s", want)
			}
			if tt.time != "" {
				want = strings.TrimSuffix(want, "}") + `,"time":` + tt.time + "}"
			}
			if got[1][Abbreviated] != want {
				t.Errorf("got  %s\nwant %s", got[1][Abbreviated], want)
			}
			if got[0][Full] != got[1][Full] || got[0][kind.Memo] != got[1][kind.Memo] {
				t.Error("another document has changed")
			}
		})
	}
}
