package npm

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
)

// A tarball that is named with the scope has the digest of the URL that names it
// so, and of no other.
func TestScopedTarballHasTheDigestOfItsURL(t *testing.T) {
	k := newKind(testBase)
	const list = `{"name":"@s/n","versions":{
"1.0.0":{"dist":{"tarball":"https://m.example/api/npm/@s/n/-/@s/n-1.0.0.tgz","shasum":"0000000000000000000000000000000000000001"}},
"2.0.0":{"dist":{"tarball":"https://m.example/@s/n/-/@s%2fn-2.0.0.tgz","shasum":"0000000000000000000000000000000000000002"}},
"3.0.0":{"dist":{"tarball":"https://m.example/@s/n/-/n-3.0.0.tgz","shasum":"0000000000000000000000000000000000000003"}},
"4.0.0":{"dist":{"tarball":"https://m.example/files/@s/n-4.0.0.tgz","shasum":"0000000000000000000000000000000000000004"}},
"5.0.0":{"dist":{"tarball":"https:\/\/m.example\/@s\/n\/-\/@s\/n-5.0.0.tgz","shasum":"0000000000000000000000000000000000000005"}}}}`
	summary := []byte(prepare(t, "/@s/n", list)[kind.Summary])
	for path, want := range map[string]byte{
		"/@s/n/-/@s/n-1.0.0.tgz": 1, "/@s/n/-/@s%2fn-1.0.0.tgz": 1, "/@s/n/-/n-1.0.0.tgz": 1,
		"/@s/n/-/@s/n-2.0.0.tgz": 2, "/@s/n/-/@s%2Fn-2.0.0.tgz": 2, "/@s/n/-/n-2.0.0.tgz": 0,
		"/@s/n/-/@s/n-3.0.0.tgz": 0, "/@s/n/-/n-3.0.0.tgz": 3,
		"/@s/n/-/@s/n-4.0.0.tgz": 0, "/@s/n/-/n-4.0.0.tgz": 4,
		"/@s/n/-/@s/n-5.0.0.tgz": 5,
	} {
		d, ok := k.Digest(k.Route(get(path)), summary)
		if ok != (want != 0) || ok && !bytes.Equal(d.Sum, append(make([]byte, 19), want)) {
			t.Errorf("%s: %x, %v; want %d", path, d.Sum, ok, want)
		}
	}
}

func TestScopedTarballIsWithheldByEveryName(t *testing.T) {
	const list = `{"name":"@s/n","dist-tags":{},"time":{"1.0.0":"2024-06-10T00:00:00Z","2.0.0":"2024-06-10T00:00:00Z"},"versions":{
"1.0.0":{"dist":{"tarball":"https://m.example/@s/n/-/odd.tgz","shasum":"0000000000000000000000000000000000000001"}},
"2.0.0":{"dist":{"tarball":"https://m.example/@s/n/-/@s%2fodd2.tgz","shasum":"0000000000000000000000000000000000000001"}}}}`
	for _, p := range []Policy{{Deny: []string{"@s/n@1.0.0", "@s/n@2.0.0"}}, {MinimumAge: time.Hour}} {
		k := newKind(testBase).with(p)
		documents, err := k.Prepare(k.Route(get("/@s/n")), kind.Source{Body: []byte(list), Now: at(t, "2024-06-10T00:30:00Z")})
		if err != nil {
			t.Fatal(err)
		}
		summary := []byte(kindtest.Contents(t, documents)[kind.Summary])
		for _, file := range []string{"odd.tgz", "@s/odd.tgz", "@s%2fodd.tgz", "odd2.tgz", "@s/odd2.tgz", "@s%2fodd2.tgz"} {
			if d, ok := k.Digest(k.Route(get("/@s/n/-/"+file)), summary); !ok || !strings.HasPrefix(d.Withheld, "@s/n@") {
				t.Errorf("%+v: %s: %+v, %v", p, file, d, ok)
			}
		}
	}
	k := newKind(testBase).with(Policy{Deny: []string{"@s/n@1.0.0"}})
	for _, file := range []string{"n-1.0.0.tgz", "@s/n-1.0.0.tgz", "@s%2fn-1.0.0.tgz"} {
		if r := k.Route(get("/@s/n/-/" + file)); r.Class != kind.Refuse {
			t.Errorf("%s: %+v", file, r)
		}
	}
}
