package npm

import (
	"strings"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// A version, a tag and the tags are parts of the full packument, wherever in it
// they stand and however long the URLs are that are spliced before them.
func TestExcerpts(t *testing.T) {
	const one, two = `{"name":"n","version":"1.0.0","dist":{"tarball":"https://m.example/long/way/to/n-1.0.0.tgz"}}`,
		`{"dist":{"tarball":"/n-2.0.0.tgz"},"name":"n","version":"2.0.0"}`
	for _, body := range []string{
		`{"name":"n","dist-tags":{"latest":"1.0.0","next":"2.0.0","gone":"3.0.0"},"versions":{"1.0.0":` + one + `,"2.0.0":` + two + `}}`,
		`{ "versions" : { "1.0.0" : ` + one + ` , "2.0.0":` + two + `} , "dist-tags" : {"latest":"1.0.0","next":"2.0.0","gone":"3.0.0"},"name":"n"}`,
		`{"versions":{"2.0.0":{},"3.0.0":{}},"dist-tags":{"next":"3.0.0"},"versions":{"2.0.0":` + two + `,"1.0.0":` + one + `},"dist-tags":{"latest":"1.0.0","next":"2.0.0","gone":"3.0.0"},"name":"n"}`,
	} {
		documents := prepare(t, "/n", body)
		base := testBase + "/n/-/"
		for path, want := range map[string]string{
			"/n/1.0.0":  strings.Replace(one, "https://m.example/long/way/to/", base, 1),
			"/n/latest": strings.Replace(one, "https://m.example/long/way/to/", base, 1),
			"/n/2.0.0":  strings.Replace(two, "/n-2", base+"n-2", 1),
			"/n/next":   strings.Replace(two, "/n-2", base+"n-2", 1),
			"/n/3.0.0":  "", "/n/gone": "", "/n/^1.0.0": "", "/n/LATEST": "",
			"/-/package/n/dist-tags": `{"latest":"1.0.0","next":"2.0.0","gone":"3.0.0"}`,
		} {
			r := newKind(testBase).Route(get(path))
			from, n, ok := kind.FindSubdocument([]byte(documents[kind.Summary]), r.Subdocument.Name)
			if ok != (want != "") || ok && documents[packument.Full][from:from+n] != want {
				t.Errorf("%s: %v %q; want %q", path, ok, documents[packument.Full][from:from+n], want)
			}
			if r.Subdocument.Missing == "" || r.Variant != packument.Full {
				t.Errorf("%s: %+v", path, r)
			}
		}
	}
}
