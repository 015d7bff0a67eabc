package sample_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

func TestAddPackageRefusesWhatNoRegistryTakes(t *testing.T) {
	store := samples(t)
	for _, tc := range []struct {
		name, number string
		want         error
	}{
		{"edge-sample-words", "1.0.0", sample.ErrExists},
		{"edge-sample-words", "1.0", sample.ErrInvalid},
		{"../x", "1.0.0", sample.ErrInvalid},
		{"X", "1.0.0", sample.ErrInvalid},
		{"@a/b/c", "1.0.0", sample.ErrInvalid},
	} {
		if err := store.AddPackage(tc.name, sample.Version{Number: tc.number}); !errors.Is(err, tc.want) {
			t.Errorf("%s@%s: %v", tc.name, tc.number, err)
		}
	}
}

func TestAbbreviatedMarksInstallScripts(t *testing.T) {
	store := sample.NewStore()
	if err := store.AddPackage("a",
		sample.Version{Number: "1.0.0", Scripts: map[string]string{"postinstall": "true"}},
		sample.Version{Number: "2.0.0", Scripts: map[string]string{"test": "true"}},
	); err != nil {
		t.Fatal(err)
	}
	_, s := serve(t, store)
	got := decode[packument](t, send(t, client(t), "GET", s.URL()+"/a", "", abbreviated).body)
	if !got.Versions["1.0.0"].HasInstallScript || got.Versions["2.0.0"].HasInstallScript {
		t.Errorf("versions are %+v", got.Versions)
	}
}

func TestFilesAreServedAsTheyAre(t *testing.T) {
	store := samples(t)
	big := tarball.Noise("big", 1<<20)
	for _, add := range []struct {
		path   string
		body   []byte
		header http.Header
	}{
		{"/big/-/big-1.0.0.tgz", big, nil},
		{"/edge-sample-app", []byte(`{}`), http.Header{"content-type": {"text/odd"}, "Etag": {}}},
	} {
		if err := store.AddFile(add.path, add.body, add.header); err != nil {
			t.Fatal(err)
		}
	}
	_, s := serve(t, store)
	c := client(t)
	got := send(t, c, "GET", s.URL()+"/big/-/big-1.0.0.tgz", "")
	if !bytes.Equal(got.body, big) || got.header.Get("Cache-Control") != "public, immutable, max-age=31557600" {
		t.Errorf("the tarball: %d bytes, %v", len(got.body), got.header)
	}
	got = send(t, c, "GET", s.URL()+"/edge-sample-app", "")
	if string(got.body) != "{}" || got.header.Get("Content-Type") != "text/odd" ||
		got.header.Values("Etag") != nil || got.header.Values("Cache-Control") != nil {
		t.Errorf("the document: %s, %v", got.body, got.header)
	}
}

func TestPackumentsOfAnySize(t *testing.T) {
	const versions = 300
	doc := faults.Packument("@big/many", versions)
	if !json.Valid(doc) || len(doc) < 800*versions {
		t.Fatalf("%d bytes, valid %v", len(doc), json.Valid(doc))
	}
	if !json.Valid(faults.Packument("none", 0)) {
		t.Error("a packument without versions is not JSON")
	}
	store := sample.NewStore()
	if err := store.AddPackument(doc); err != nil {
		t.Fatal(err)
	}
	_, s := serve(t, store)
	got := decode[packument](t, send(t, client(t), "GET", s.URL()+"/@big%2fmany", "").body)
	if want := s.URL() + "/@big/many/-/many-1.0.7.tgz"; len(got.Versions) != versions || got.Versions["1.0.7"].Dist.Tarball != want {
		t.Errorf("%d versions, tarball at %s", len(got.Versions), got.Versions["1.0.7"].Dist.Tarball)
	}
	if got.Time["1.0.1"] != "2024-03-02T12:00:00.000Z" || got.Tags["latest"] != fmt.Sprint("1.0.", versions-1) ||
		!strings.HasPrefix(got.Readme, "See https://registry.example/") {
		t.Errorf("time %s, tags %v, readme %q", got.Time["1.0.1"], got.Tags, got.Readme)
	}
}

func TestAddPackumentRefusesWhatIsNone(t *testing.T) {
	for _, doc := range []string{"", "[]", "{}", `{"name":"a","versions":{"1.0.0":{}}}`, `{"name":"a","versions":{"1.0.0":null}}`,
		`{"name":"a","versions":{"1.0.0":{"dist":{"tarball":".."}}}}`} {
		if err := sample.NewStore().AddPackument([]byte(doc)); err == nil {
			t.Errorf("%s was taken", doc)
		}
	}
}
