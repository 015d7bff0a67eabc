package packument

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
)

// naive makes the abbreviated form with maps. A nil result means that it
// cannot judge the source.
func naive(source []byte, name string) map[string]any {
	var full map[string]any
	if json.Unmarshal(source, &full) != nil {
		return nil
	}
	object := func(v any) map[string]any { m, _ := v.(map[string]any); return m }
	short := map[string]any{"name": name, "dist-tags": map[string]any{}}
	if tags, ok := full["dist-tags"]; ok {
		short["dist-tags"] = tags
	}
	if m, ok := full["modified"].(string); ok {
		short["modified"] = m
	}
	if m, ok := object(full["time"])["modified"].(string); ok {
		short["modified"] = m
	}
	versions := map[string]any{}
	for number, v := range object(full["versions"]) {
		from, ok := v.(map[string]any)
		if !ok {
			versions[number] = v
			continue
		}
		to := map[string]any{}
		for _, key := range strings.Fields(`name version dependencies acceptDependencies optionalDependencies devDependencies
			bundleDependencies bundledDependencies peerDependencies peerDependenciesMeta bin directories dist engines
			_hasShrinkwrap funding cpu os libc`) {
			if value, ok := from[key]; ok {
				to[key] = value
			}
		}
		switch v := from["deprecated"]; v {
		case nil, "", false, 0.0:
		default:
			to["deprecated"] = v
		}
		scripts := object(from["scripts"])
		for _, key := range []string{"preinstall", "install", "postinstall"} {
			if text, _ := scripts[key].(string); text != "" {
				to["hasInstallScript"] = true
			}
		}
		if from["hasInstallScript"] == true {
			to["hasInstallScript"] = true
		}
		versions[number] = to
	}
	short["versions"] = versions
	return short
}

// withoutTarballs removes the members that Make replaces.
func withoutTarballs(document map[string]any) map[string]any {
	versions, _ := document["versions"].(map[string]any)
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if dist, _ := version["dist"].(map[string]any); dist != nil {
			delete(dist, "tarball")
		}
	}
	return document
}

func TestAbbreviatedAgreesWithMaps(t *testing.T) {
	for _, source := range [][]byte{synthetic("n", 200<<10), []byte(seedPackument)} {
		got := prepare(t, "n", string(source))
		compareWithMaps(t, source, got)
	}
}

func compareWithMaps(t *testing.T, source []byte, got map[string]string) {
	t.Helper()
	want := naive(source, "n")
	if want == nil {
		return
	}
	var short, full, original map[string]any
	for to, text := range map[*map[string]any]string{&short: got[Abbreviated], &full: got[Full], &original: string(source)} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	if !reflect.DeepEqual(withoutTarballs(short), withoutTarballs(want)) {
		t.Fatalf("abbreviated differs from what maps say\nsource %s\ngot    %s\nwant   %v", source, got[Abbreviated], want)
	}
	if !reflect.DeepEqual(withoutTarballs(full), withoutTarballs(original)) {
		t.Fatalf("full differs by more than tarballs\nsource %s\ngot    %s", source, got[Full])
	}
}

const seedPackument = `{"_id":"n","name":"n","dist-tags":{"latest":"1.0.0"},"versions":{
"0.0.1":{"name":"n","version":"0.0.1","engines":["node"],"dependencies":{"a":{"x":1}},"deprecated":"","dist":{"tarball":"http:\/\/m.example\/n\/-\/n-0.0.1.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
"1.0.0":{"name":"n","version":"1.0.0","scripts":{"install":"x"},"deprecated":"d","libc":["musl"],"bundledDependencies":true,"_hasShrinkwrap":false,"dist":{"integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==","tarball":"http://m.example/n/-/n-1.0.0.tgz?a=b"}}},
"time":{"modified":"2020-01-01T00:00:00.000Z"},"readme":"\ud83d\ude00 \u2028"}`

func FuzzPrepare(f *testing.F) {
	f.Add([]byte(seedPackument))
	f.Add([]byte(`{"_id":"n","time":{"unpublished":{}}}`))
	f.Add([]byte(`{"name":"n","versions":{"1":{"dist":{"tarball":"/n/-/\u00e9%20.tgz","tarball":7}},"1":null}}`))
	f.Add([]byte("{\"name\":\"n\",\"versions\":{\"\xff\":{\"os\":\"\xff\",\"dist\":{\"tarball\":\"/\\/\xff\"}}}}"))
	f.Add([]byte(`{"name":"n","version":"1","latest":"1","dist":{"tarball":"//h/n.tgz"}}`))
	f.Add([]byte(`{"error":"x"}`))
	lenient := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		documents, err := made("n", kind.Source{Body: body})
		verbatim, err2 := Verbatim(body, "keys")
		if !bytes.Equal(body, before) {
			t.Fatal("the body has been changed")
		}
		if (err == nil || err2 == nil) && !jsontext.Value(body).IsValid(lenient...) {
			t.Fatalf("accepted what is no JSON: %q", body)
		}
		if err2 == nil && kindtest.Contents(t, verbatim)[""] != string(body) {
			t.Fatalf("verbatim differs from %q", body)
		}
		if err != nil {
			return
		}
		got := kindtest.Contents(t, documents)
		for variant, text := range got {
			if variant != kind.Summary && !jsontext.Value(text).IsValid(lenient...) {
				t.Fatalf("%q: not JSON: %q from %q", variant, text, body)
			}
		}
		// With names that occur twice, maps merge members that a JSON reader replaces.
		if jsontext.Value(body).IsValid() {
			compareWithMaps(t, body, got)
		}
		for line := range strings.Lines(got[kind.Summary]) {
			if key, _, ok := strings.Cut(line, "\t"); ok {
				_, file, _ := strings.Cut(key, "/")
				Find([]byte(got[kind.Summary]), "n", file)
			}
		}
	})
}
