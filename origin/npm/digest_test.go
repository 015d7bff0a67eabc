package npm

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pkgedge/origin/kind"
)

func TestEveryFileIsFound(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"name":"@s/n","versions":{"0":{}`)
	files := []string{"n-1.tgz", "n-1.tgz2", "n-10.tgz", "N-1.tgz", "n", "é.tgz", "n '\"#?.tgz", "~"}
	for range 500 {
		files = append(files, fmt.Sprintf("n-%d.%d.tgz", rand.IntN(100), rand.IntN(1e9)))
	}
	sum := func(file string) []byte { s := sha256.Sum256([]byte(file)); return s[:] }
	for i, file := range files {
		fmt.Fprintf(&body, `,"%d":{"dist":{"tarball":"/@s/n/-/%s","integrity":"sha256-%s"}}`, i, escape(file), base64.StdEncoding.EncodeToString(sum(file)))
	}
	body.WriteString(`}}`)
	digests := []byte(prepare(t, "/@s%2fn", body.String())[kind.Summary])
	k := newKind(testBase)
	for _, file := range files {
		r := k.Route(get("/@s%2fn/-/" + escape(file)))
		if d, ok := k.Digest(r, digests); !ok || !bytes.Equal(d.Sum, sum(file)) {
			t.Errorf("%s: got %v, %v", file, d, ok)
		}
		for _, near := range []string{file + "x", "!" + file, file[:len(file)-1] + "\x7e\x7e"} {
			if _, ok := k.Digest(k.Route(get("/@s/n/-/"+escape(near))), digests); ok {
				t.Errorf("%q is found, too", near)
			}
		}
	}
	r := k.Route(get("/@s/n/-/n-1.tgz"))
	if n := testing.AllocsPerRun(100, func() { k.Digest(r, digests) }); n > 1 {
		t.Errorf("%v allocations, want only the sum", n)
	}
}

func TestListsNamesThePackument(t *testing.T) {
	k := newKind(testBase)
	lists := k.Lists(k.Route(get("/@s%2fn/-/n-1.tgz")))
	want := k.Route(get("/@s/n"))
	if len(lists) != 1 || lists[0].Key != want.Key || lists[0].Path != want.Path || lists[0].Class != kind.Metadata || lists[0].Variant != kind.Summary {
		t.Errorf("got %+v", lists)
	}
	for _, path := range []string{"/n", "/n/1.0.0", "/-/npm/v1/keys", "/-/whoami", "/.."} {
		if lists := k.Lists(k.Route(get(path))); len(lists) > 0 {
			t.Errorf("%s has a list", path)
		}
	}
	summary := []byte(prepare(t, "/n", `{"name":"n","versions":{"1":{"dist":{"tarball":"/n.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}}`)[kind.Summary])
	if _, ok := k.Digest(want, summary); ok {
		t.Error("a packument has a digest")
	}
}
