package npm

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"pkgedge/origin/npm/packument"
)

const testBase = "http://edge.example/registry"

// prepare runs Prepare for a package and returns the documents by variant.
func prepare(t testing.TB, path, body string) map[string]string {
	t.Helper()
	k := newKind(testBase)
	documents, err := k.Prepare(k.Route(get(path)), kind.Source{Body: []byte(body)})
	if err != nil {
		t.Fatalf("Prepare: %v\n%.500s", err, body)
	}
	return kindtest.Contents(t, documents)
}

// A URL that clients are given must be one that Route accepts.
func TestGivenTarballsCanBeAskedFor(t *testing.T) {
	k := newKind(testBase)
	for _, file := range []string{"n-1.tgz", "n%2b%C3%A9.tgz", "@s%2fn-1.tgz", "%40s%2Fn%2b1.tgz", "n'!*()~@$.tgz", "N-01.tar.gz", "n%20.tgz", "..n", "-"} {
		body := `{"name":"@s/n","versions":{"1.0.0":{"dist":{"tarball":"https://m.example/@s/n/-/` + file + `","shasum":"` + strings.Repeat("ab", 20) + `"}}}}`
		got := prepare(t, "/@s/n", body)
		if !strings.Contains(got[packument.Full], `"`+testBase+`/@s/n/-/`+file+`"`) {
			t.Errorf("%s: not rewritten: %s", file, got[packument.Full])
		}
		r := k.Route(get("/@s/n/-/" + file))
		if _, ok := k.Digest(r, []byte(got[kind.Summary])); !ok || r.Class != kind.File {
			t.Errorf("%s: no digest in %q for %+v", file, got[kind.Summary], r)
		}
	}
}

func TestPublicBaseIsEscapedForJSON(t *testing.T) {
	k := newKind(`http://edge.example/"x\/`)
	documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(`{"name":"n","versions":{"1":{"dist":{"tarball":"/n/-/f"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"n","versions":{"1":{"dist":{"tarball":"http://edge.example/\"x\\/n/-/f"}}}}`
	if got := kindtest.Contents(t, documents)[packument.Full]; got != want {
		t.Errorf("got %s", got)
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
		{"/n", `[]`, packument.ErrDocument}, {"/n", `"x"`, packument.ErrDocument}, {"/n", `null`, packument.ErrDocument}, {"/n", `7`, packument.ErrDocument},
		{"/n", `{}`, packument.ErrDocument},
		{"/n", `{"error":"not_found"}`, packument.ErrDocument},
		{"/n", `{"error":"x","versions":{}}`, packument.ErrDocument},
		{"/n", `{"name":"m","versions":{}}`, packument.ErrDocument},
		{"/n", `{"name":"N","versions":{}}`, kind.ErrAbsent}, {"/n", `{"_id":"N","versions":{}}`, kind.ErrAbsent},
		{"/JQuery", `{"name":"jquery","versions":{"1.0.0":{}}}`, kind.ErrAbsent}, {"/@s/n", `{"_id":"@S/N","name":"@S/n","versions":{}}`, kind.ErrAbsent},
		{"/n", `{"_id":"m","versions":{}}`, packument.ErrDocument},
		{"/n", `{"_id":"n","name":"m","versions":{}}`, packument.ErrDocument},
		{"/n", `{"_id":"n","name":null,"versions":{}}`, packument.ErrDocument},
		{"/n", `{"name":7,"versions":{}}`, packument.ErrDocument},
		{"/@s/n", `{"name":"n","versions":{}}`, packument.ErrDocument},
		{"/n", `{"name":"n","error":"not_found"}`, packument.ErrDocument}, {"/n", `{"name":"n","version":"1.0.0","dist":{}}`, packument.ErrDocument},
		{"/n", good + `{}`, packument.ErrDocument}, {"/n", good + `x`, syntax}, {"/n", good + "\x00", syntax},
		{"/n", `<html>`, syntax}, {"/n", "\ufeff" + good, syntax}, {"/n", `{"name":"n",}`, syntax}, {"/n", `{"name" "n"}`, syntax}, {"/n", `{7:1}`, syntax},
		{"/n", strings.Repeat(`[`, 20000), nil},
		{"/n", `{"name":"n","versions":{},"x":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}`, syntax},
		{"/n/1.0.0", `{"name":"n","version":"1.0.0"}`, packument.ErrDocument}, {"/n/1.0.0", `"version not found: 1.0.0"`, packument.ErrDocument},
		{"/-/package/n/dist-tags", `{"latest":"1.0.0"}`, packument.ErrDocument},
		{"/-/npm/v1/keys", `{"error":"x"}`, packument.ErrDocument}, {"/-/npm/v1/keys", ``, io.ErrUnexpectedEOF},
		{"/-/npm/v1/attestations/n@1", `"x"`, packument.ErrDocument},
		{"/n/-/n.tgz", good, packument.ErrDocument}, {"/-/whoami", `{}`, packument.ErrDocument},
	}
	for i := range good {
		tests = append(tests, test{"/n", good[:i], io.ErrUnexpectedEOF})
	}
	for i := range `{"keys":[]}` {
		tests = append(tests, test{"/-/npm/v1/keys", `{"keys":[]}`[:i], io.ErrUnexpectedEOF})
	}
	k := newKind(testBase)
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
	k := newKind(testBase)
	documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(`{"name":"n","versions":{}}`)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range documents {
		got[d.Variant] = d.ContentType
	}
	want := map[string]string{
		packument.Full: "application/json", packument.Abbreviated: "application/vnd.npm.install-v1+json", kind.Summary: "text/plain; charset=utf-8",
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
			plain := newKind(testBase).with(tt.policy)
			var got [2]map[string]string
			for i, k := range []*Kind{plain, plain.withTime()} {
				documents, err := k.Prepare(k.Route(get("/n")), kind.Source{Body: []byte(tt.body), Now: now})
				if err != nil {
					t.Fatal(err)
				}
				got[i] = kindtest.Contents(t, documents)
			}
			want := got[0][packument.Abbreviated]
			if strings.Contains(want, `"time"`) {
				t.Errorf("without the option: %s", want)
			}
			if tt.time != "" {
				want = strings.TrimSuffix(want, "}") + `,"time":` + tt.time + "}"
			}
			if got[1][packument.Abbreviated] != want {
				t.Errorf("got  %s\nwant %s", got[1][packument.Abbreviated], want)
			}
			if got[0][packument.Full] != got[1][packument.Full] || got[0][kind.Summary] != got[1][kind.Summary] {
				t.Error("another document has changed")
			}
		})
	}
}
