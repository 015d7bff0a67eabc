package dist_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pkgedge/origin/dist"
	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
)

const (
	sumA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sumB = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

	list    = sumA + "  node-v20.1.0-linux-x64.tar.gz\n" + sumB + "  win-x64/node.lib\n"
	oldList = sha1 + "  node-v0.8.0.tar.gz\n"
	tab     = "version\tdate\tfiles\nv20.1.0\t2023-05-03\tsrc\nv20.0.0\t2023-04-18\tsrc\n"
	asJSON  = `[{"version":"v20.1.0","files":["src"]},{"version":"v20.0.0"}]`
	armour  = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + list + "-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n"
)

func get(paths ...string) (requests []kind.Request) {
	for _, path := range paths {
		requests = append(requests, kind.Request{Method: http.MethodGet, Path: path})
	}
	return requests
}

func TestContract(t *testing.T) {
	sum, err := hex.DecodeString(sumB)
	if err != nil {
		t.Fatal(err)
	}
	old, err := hex.DecodeString(sha1)
	if err != nil {
		t.Fatal(err)
	}
	cut := func(s string) (bad [][]byte) {
		return [][]byte{[]byte(s[:len(s)-1]), []byte(s[:len(s)/2]), []byte("\n"), []byte(`{"error":"x"}`)}
	}
	kindtest.Run(t, dist.Descriptor(), kindtest.Samples{
		Things: [][]kind.Request{
			get("/index.json", "/index%2ejson"), get("/index.tab"), get("/latest/"), get("/latest-v20.x/"), get("/"),
			get("/v20.1.0/"), get("/v20.1.0/SHASUMS256.txt"), get("/v20.1.0/SHASUMS256.txt.asc"), get("/v20.1.0/SHASUMS256.txt.sig"),
			get("/v0.8.0/SHASUMS.txt"), get("/latest/SHASUMS256.txt"),
			get("/v20.1.0/node-v20.1.0.tar.gz", "/v20.1.0/node-v20%2e1.0.tar.gz"), get("/v20.1.0/win-x64/node.lib"), get("/latest/win-x64/node.lib"),
		},
		Passed: get("/latest", "/v20.1.0"),
		Refused: append(get("/..", "/v20.1.0/../x", "/a%2fb", "/%"),
			kind.Request{Method: http.MethodPut, Path: "/v20.1.0/x"}, kind.Request{Method: http.MethodPost, Path: "/"}),
		Metadata: []kindtest.Metadata{
			{Request: get("/index.json")[0], Good: [][]byte{[]byte(asJSON), []byte(asJSON + "\n")}, Bad: append(cut(asJSON), []byte("[]"), []byte("{}"), []byte(`[{}]`))},
			{Request: get("/index.tab")[0], Good: [][]byte{[]byte(tab)}, Bad: append(cut(tab), []byte("version\tdate\tfiles\n"), []byte(tab[:len(tab)-5]+"\n"))},
			{Request: get("/v20.1.0/SHASUMS256.txt")[0], Good: [][]byte{[]byte(list), []byte(strings.ReplaceAll(list, "  ", " *"))},
				Bad: append(cut(list), []byte(list+oldList), []byte(list+"\n"), []byte(sumA+"\n"), []byte(sumA[2:]+"  x\n"))},
			{Request: get("/v0.8.0/SHASUMS.txt")[0], Good: [][]byte{[]byte(oldList)}, Bad: cut(oldList)},
			{Request: get("/v20.1.0/SHASUMS256.txt.asc")[0], Good: [][]byte{[]byte(list)}, Bad: cut(list)},
		},
		Files: []kindtest.File{
			{Request: get("/v20.1.0/win-x64/node.lib")[0], List: []byte(list), Digest: kind.Digest{Algorithm: "sha256", Sum: sum}, Unknown: get("/v20.1.0/node.lib")[0]},
			{Request: get("/latest/win-x64/node.lib")[0], List: []byte(list), Digest: kind.Digest{Algorithm: "sha256", Sum: sum}},
			{Request: get("/v0.8.0/node-v0.8.0.tar.gz")[0], List: []byte(oldList), Digest: kind.Digest{Algorithm: "sha1", Sum: old}},
		},
	})
}

// Every way to write the slashes of a path is one thing: corepack, node-gyp and nvm put a
// path behind a base URL that may end with a slash.
func TestSlashes(t *testing.T) {
	for _, path := range []string{
		"/index.json", "/index.tab", "/v20.1.0/SHASUMS256.txt", "/v20.1.0/SHASUMS256.txt.asc", "/v20.1.0/SHASUMS256.txt.sig", "/v0.8.0/SHASUMS.txt",
		"/latest/SHASUMS256.txt", "/v20.1.0/node-v20.1.0.tar.gz", "/v20.1.0/node-v20.1.0-linux-x64.tar.xz", "/v20.1.0/node-v20.1.0-win-x64.7z",
		"/v20.1.0/win-x64/node.lib", "/latest-v20.x/win-x64/node.exe", "/v20.1.0/docs/api/fs.html", "/npm/npm-1.0.0.tgz", "/node-latest.tar.gz",
		"/", "/v20.1.0/", "/latest/", "/latest-v20.x/", "/latest-iron/", "/v20.1.0/win-x64/", "/v20.1.0/docs/api/", "/npm/", "/npm/npm-1.0.0/", // directories
	} {
		want := dist.Kind{}.Route(get(path)[0])
		variants := kindtest.Slashes(path)
		if !strings.HasSuffix(path, "/") {
			variants = append(variants, path+"/", path+"//", "/"+path+"///")
		}
		for _, written := range variants {
			if r := (dist.Kind{}).Route(get(written)[0]); !reflect.DeepEqual(r, want) || !r.Class.Cacheable() {
				t.Errorf("%s: %+v; want %+v", written, r, want)
			}
		}
	}
	for _, path := range []string{"/latest", "/v20.1.0"} { // a directory without its slash is redirected
		if r := (dist.Kind{}).Route(get("/" + path)[0]); r.Class != kind.PassAny || r.Path != path {
			t.Errorf("/%s: %+v", path, r)
		}
	}
}

func TestWhatMoves(t *testing.T) {
	for path, moves := range map[string]bool{
		"/index.json": true, "/index.tab": true, "/latest/": true, "/latest/win-x64/node.exe": true, "/latest-v20.x/node-v20.1.0.tar.gz": true,
		"/latest-iron/SHASUMS256.txt": true, "/npm/npm-1.0.0.tgz": true, "/v20.1.0/": true, "/v20.1.0/SHASUMS256.txt": true,
		"/v20.1.0/node-v20.1.0.tar.gz": false, "/v20.1.0/docs/api/fs.html": false, "/v6.0.0-rc.1/x": false, "/v20/x": true, "/vx.1.2/x": true,
	} {
		if r := (dist.Kind{}).Route(get(path)[0]); !r.Class.Cacheable() || (r.Moving || r.Class == kind.Metadata) != moves {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

// A list and its signatures are parts of one document.
func TestListAndSignaturesAreOne(t *testing.T) {
	k := dist.Kind{}
	r := k.Route(get("/v20.1.0/SHASUMS256.txt")[0])
	good := map[string][]byte{"/v20.1.0/SHASUMS256.txt.asc": []byte(armour), "/v20.1.0/SHASUMS256.txt.sig": {0x88, 0x75, 0x04}}
	docs, err := k.Prepare(r, kind.Source{Body: []byte(list), Companions: good})
	if err != nil {
		t.Fatal(err)
	}
	var doc, summary bytes.Buffer
	docs[0].Body.WriteTo(&doc)
	docs[1].Body.WriteTo(&summary)
	for path, want := range map[string]string{
		"/v20.1.0/SHASUMS256.txt": list, "/v20.1.0/SHASUMS256.txt.asc": armour, "/v20.1.0/SHASUMS256.txt.sig": "\x88\x75\x04", "/v20.1.0/SHASUMS256.txt.gpg": "",
	} {
		part := k.Route(get(path)[0])
		from, n, ok := kind.FindSubdocument(summary.Bytes(), part.Subdocument.Name)
		if part.Key != r.Key || part.Subdocument.Missing == "" || part.Subdocument.ContentType == "" || ok != (want != "") || doc.String()[from:from+n] != want {
			t.Errorf("%s: %+v: %q", path, part, doc.String()[from:from+n])
		}
	}
	for name, bad := range map[string]map[string][]byte{
		"of another list": {"/v20.1.0/SHASUMS256.txt.asc": []byte(strings.Replace(armour, sumA, sumB, 1))},
		"cut":             {"/v20.1.0/SHASUMS256.txt.asc": []byte(armour[:len(armour)-3])},
		"a page":          {"/v20.1.0/SHASUMS256.txt.sig": []byte("<html>")},
		"empty":           {"/v20.1.0/SHASUMS256.txt.gpg": {}},
	} {
		if _, err := k.Prepare(r, kind.Source{Body: []byte(list), Companions: bad}); !errors.Is(err, dist.ErrList) {
			t.Errorf("a signature that is %s: %v", name, err)
		}
	}
}

// An index names its new files, so that it can be held back until they are
// there.
func TestNewReleasesAreNeeded(t *testing.T) {
	k := dist.Kind{}
	const (
		tab   = "version\tdate\tfiles\tnpm\nv20.1.0\tx\theaders,linux-x64\t9\n"
		index = `[{"version":"v20.1.0","files":["headers","linux-x64"]}]`
	)
	more := func(more string) string { return index[:len(index)-1] + "," + more + "]" }
	for _, tt := range []struct {
		name, path, before, after string
		want                      []string
	}{
		{"no index before: nothing is new", "/index.tab", "", tab, nil},
		{"the same", "/index.tab", tab, tab, nil},
		{"a release", "/index.tab", tab, tab + "v20.2.0\tx\ty\t9\n", []string{"/v20.2.0/SHASUMS256.txt"}},
		{"a release with files", "/index.tab", tab, tab + "v20.2.0\tx\tsrc,headers\t9\n",
			[]string{"/v20.2.0/SHASUMS256.txt", "/v20.2.0/node-v20.2.0-headers.tar.gz", "/v20.2.0/node-v20.2.0.tar.gz"}},
		{"in JSON, too", "/index.json", index, more(`{"version":"v20.2.0","files":["src"]}`), []string{"/v20.2.0/SHASUMS256.txt", "/v20.2.0/node-v20.2.0.tar.gz"}},
		{"a platform that comes late", "/index.tab", tab, strings.Replace(tab, "linux-x64", "linux-x64,linux-arm64", 1), []string{"/v20.1.0/node-v20.1.0-linux-arm64.tar.gz"}},
		{"each platform by its own rule", "/index.json", index, strings.Replace(index, `"headers"`, `"headers","aix-ppc64","sunos-x64","osx-arm64-tar","win-x64-zip","win-arm64-7z"`, 1),
			[]string{"/v20.1.0/node-v20.1.0-aix-ppc64.tar.gz", "/v20.1.0/node-v20.1.0-darwin-arm64.tar.gz", "/v20.1.0/node-v20.1.0-sunos-x64.tar.gz",
				"/v20.1.0/node-v20.1.0-win-arm64.7z", "/v20.1.0/node-v20.1.0-win-x64.zip"}},
		{"what no rule names is not waited for", "/index.json", index, strings.Replace(index, `"headers"`, `"headers","osx-x64-pkg","win-x64-exe","plan9","linux"`, 1), nil},
		{"what is no release is not waited for", "/index.json", index, more(`{"version":"../x","files":["src"]}`), nil},
	} {
		r := k.Route(get(tt.path)[0])
		var summary bytes.Buffer
		if tt.before != "" {
			docs, err := k.Prepare(r, kind.Source{Body: []byte(tt.before)})
			if err != nil {
				t.Fatal(err)
			}
			docs[1].Body.WriteTo(&summary)
		}
		docs, err := k.Prepare(r, kind.Source{Body: []byte(tt.after), Summary: summary.Bytes()})
		if err != nil || !slices.Equal(docs[0].Needs, tt.want) {
			t.Errorf("%s: %v, needs %q; want %q", tt.name, err, docs[0].Needs, tt.want)
		}
	}
}

// However much is new in an index, the wait for it has a bound.
func TestNeedsAreBounded(t *testing.T) {
	k := dist.Kind{}
	r := k.Route(get("/index.tab")[0])
	docs, err := k.Prepare(r, kind.Source{Body: []byte(tab)})
	if err != nil {
		t.Fatal(err)
	}
	var summary bytes.Buffer
	docs[1].Body.WriteTo(&summary)
	much := []byte(tab)
	for i := range 1000 {
		much = fmt.Appendf(much, "v21.0.%d\tx\tsrc\n", i)
	}
	docs, err = k.Prepare(r, kind.Source{Body: much, Summary: summary.Bytes()})
	if n := len(docs[0].Needs); err != nil || n == 0 || n > 64 {
		t.Errorf("%v, needs %d paths", err, n)
	}
}

// The list of a release settles; that of a folder that moves, and an index, never
// do.
func TestWhatSettles(t *testing.T) {
	for path, settles := range map[string]bool{
		"/v20.1.0/SHASUMS256.txt": true, "/v20.1.0/SHASUMS256.txt.sig": true, "/v0.8.0/SHASUMS.txt": true,
		"/latest/SHASUMS256.txt": false, "/latest-v20.x/SHASUMS256.txt.asc": false, "/index.json": false, "/index.tab": false, "/v20.1.0/": false,
	} {
		if r := (dist.Kind{}).Route(get(path)[0]); r.Settles != settles {
			t.Errorf("%s: settles %t", path, r.Settles)
		}
	}
	for _, l := range (dist.Kind{}).Lists(dist.Kind{}.Route(get("/v20.1.0/win-x64/node.lib")[0])) {
		if !l.Settles {
			t.Errorf("%s as the list of a file does not settle", l.Key)
		}
	}
}

// A release is purged by its name.
func TestReleaseIsAGroup(t *testing.T) {
	for _, path := range []string{"/v20.1.0/", "/v20.1.0/SHASUMS256.txt", "/v20.1.0/win-x64/node.lib"} {
		r := dist.Kind{}.Route(get(path)[0])
		if r.Group != "v20.1.0" {
			t.Errorf("%s: group %q", path, r.Group)
		}
		for _, l := range (dist.Kind{}).Lists(r) {
			if l.Group != "v20.1.0" {
				t.Errorf("%s: the group of its list is %q", path, l.Group)
			}
		}
	}
}

// A list that lost something is cut or old, and replaces nothing.
func TestShrunkenListReplacesNothing(t *testing.T) {
	k := dist.Kind{}
	more := list + sumA + "  node-v20.1.0.pkg\n"
	for _, tt := range []struct {
		name, path, before, after string
		want                      error
	}{
		{"the same", "/v20.1.0/SHASUMS256.txt", list, list, nil},
		{"one more", "/v20.1.0/SHASUMS256.txt", list, more, nil},
		{"one less", "/v20.1.0/SHASUMS256.txt", more, list, kind.ErrOlder},
		{"another digest", "/v20.1.0/SHASUMS256.txt", list, strings.Replace(list, sumA, sumB, 1), kind.ErrLost},
		{"a moving list, of another release", "/latest/SHASUMS256.txt", list, strings.ReplaceAll(list, "20.1.0", "20.2.0"), nil},
		{"an index with one more", "/index.tab", tab, tab + "v0.1.0\tx\ty\n", nil},
		{"an index with one less", "/index.tab", tab, tab[:strings.Index(tab, "v20.0.0")], kind.ErrOlder},
		{"in JSON, too", "/index.json", asJSON, `[{"version":"v20.0.0"}]`, kind.ErrOlder},
	} {
		r := k.Route(get(tt.path)[0])
		docs, err := k.Prepare(r, kind.Source{Body: []byte(tt.before)})
		if err != nil {
			t.Fatal(err)
		}
		var summary bytes.Buffer
		if _, err := docs[1].Body.WriteTo(&summary); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Prepare(r, kind.Source{Body: []byte(tt.after), Summary: summary.Bytes()}); !errors.Is(err, tt.want) {
			t.Errorf("%s: err = %v; want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzPrepare(f *testing.F) {
	k := dist.Kind{}
	routes := []kind.Route{
		k.Route(get("/index.json")[0]), k.Route(get("/index.tab")[0]), k.Route(get("/v20.1.0/SHASUMS256.txt")[0]), k.Route(get("/v20.1.0/SHASUMS256.txt.asc")[0]),
	}
	for _, s := range []string{list, oldList, tab, asJSON, armour, "", "\n", "\t\n", " \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, r := range routes {
			docs, err := k.Prepare(r, kind.Source{Body: body})
			if err != nil {
				continue
			}
			var summary bytes.Buffer
			docs[1].Body.WriteTo(&summary)
			if int64(summary.Len()) != docs[1].Size {
				t.Fatalf("a memo of %d bytes, not %d", summary.Len(), docs[1].Size)
			}
			if _, err := k.Prepare(r, kind.Source{Body: body, Summary: summary.Bytes()}); err != nil && !errors.Is(err, kind.ErrLost) {
				t.Fatalf("%s: a list does not replace itself: %v", r.Key, err)
			}
		}
	})
}
