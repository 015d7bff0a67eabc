package packument

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"strings"
	"testing"
)

func TestDigestIsTheStrongest(t *testing.T) {
	h512, h384, h256, h1 := sha512.Sum512([]byte("x")), sha512.Sum384([]byte("x")), sha256.Sum256([]byte("x")), sha1.Sum([]byte("x"))
	sri := func(algorithm string, sum []byte) string {
		return algorithm + "-" + base64.StdEncoding.EncodeToString(sum)
	}
	s512, s384, s256 := sri("sha512", h512[:]), sri("sha384", h384[:]), sri("sha256", h256[:])
	shasum := hex.EncodeToString(h1[:])
	tests := []struct {
		name, integrity, shasum string
		algorithm               string // "" means none
		sum                     []byte
	}{
		{"sha512", s512, shasum, "sha512", h512[:]},
		{"sha384", s384, shasum, "sha384", h384[:]},
		{"sha256", s256, shasum, "sha256", h256[:]},
		{"weakest first", s256 + " " + s384 + `\t ` + s512, shasum, "sha512", h512[:]},
		{"options", s512 + "?ct=a/b&c", shasum, "sha512", h512[:]},
		{"without padding", strings.TrimRight(s512, "="), shasum, "sha512", h512[:]},
		{"the same one twice", s512 + " " + s512 + "?x", shasum, "sha512", h512[:]},
		{"two of an algorithm cannot be told apart", sri("sha512", make([]byte, 64)) + " " + s512 + " " + s256, shasum, "sha256", h256[:]},
		{"slashes escaped", strings.ReplaceAll(s512, "/", `\/`), shasum, "sha512", h512[:]},
		{"shasum only", "", shasum, "sha1", h1[:]},
		{"shasum in capitals", "", strings.ToUpper(shasum), "sha1", h1[:]},
		{"unknown algorithm", "md5-1B2M2Y8AsgTpgAmY7PhCfg==", shasum, "sha1", h1[:]},
		{"sum too short", "sha512-AAAA", shasum, "sha1", h1[:]},
		{"no base64", "sha512-" + strings.Repeat("!", 86), shasum, "sha1", h1[:]},
		{"no algorithm", base64.StdEncoding.EncodeToString(h512[:]), shasum, "sha1", h1[:]},
		{"nothing", "", "", "", nil},
		{"nothing that works", "sha512-", "xyz", "", nil},
		{"shasum of another length", "", shasum[2:], "", nil},
		{"shasum that is not hex", "", "zz" + shasum[2:], "", nil},
	}
	for _, test := range tests {
		body := fmt.Sprintf(`{"name":"n","versions":{"1":{"dist":{"shasum":"%s","tarball":"/n/-/n-1.tgz","integrity":"%s"}}}}`, test.shasum, test.integrity)
		got, ok := found([]byte(prepare(t, "n", body)[kind.Summary]), "n-1.tgz")
		if test.algorithm == "" {
			if ok {
				t.Errorf("%s: got %v", test.name, got)
			}
			continue
		}
		if !ok || got.Algorithm != test.algorithm || !bytes.Equal(got.Sum, test.sum) {
			t.Errorf("%s: got %v, %v", test.name, got, ok)
		}
	}
}

func TestDigestOfOddDists(t *testing.T) {
	const sum = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	const other = "0000000000000000000000000000000000000000"
	tests := []struct {
		name, versions string
		ok             bool
	}{
		{"plain", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}}`, true},
		{"two versions with one tarball", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}},"v1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}}`, true},
		{"two versions that disagree", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}},"v1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + other + `"}}`, false},
		{"a name that begins alike", `"1":{"dist":{"tarball":"/n/-/n.tgz.tgz","shasum":"` + sum + `"}}`, false},
		{"the last dist counts", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + other + `"},"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}}`, true},
		{"a last dist that is none", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"},"dist":null}`, false},
		{"a last tarball that is none", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `","tarball":7}}`, false},
		{"no tarball", `"1":{"dist":{"shasum":"` + sum + `"}}`, false},
		{"nothing from the version before", `"1":{"dist":{"tarball":"/n/-/m.tgz","shasum":"` + sum + `"}},"2":{"dist":{"tarball":"/n/-/n.tgz"}},"3":{"x":1}`, false},
		{"values that are no texts", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":7,"integrity":["x"]}}`, false},
		{"in a second versions member", `"1":{}},"versions":{"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}}`, true},
		{"in a first versions member", `"1":{"dist":{"tarball":"/n/-/n.tgz","shasum":"` + sum + `"}}},"versions":{"1":{}`, false},
	}
	for _, test := range tests {
		digests := prepare(t, "n", `{"name":"n","versions":{`+test.versions+`}}`)[kind.Summary]
		d, ok := found([]byte(digests), "n.tgz")
		if ok != test.ok || ok && hex.EncodeToString(d.Sum) != sum {
			t.Errorf("%s: got %x, %v from %q", test.name, d.Sum, ok, digests)
		}
	}
}

func TestDigestOfWhatIsNoDigestsDocument(t *testing.T) {
	const head = summaryFormat + "\nfile/"
	for _, digests := range []string{
		"", "\n", "{}", "file/n.tgz\tsha1\t2jmj7l5rSw0yVb/vlWAYkK/YBwk\n", summaryFormat, head, head + "\n\n\n",
		head + "n.tgz", head + "n.tgz\t", head + "n.tgz\tsha1", head + "n.tgz\tsha1\t\n",
		head + "n.tgz\tsha1\t2jmj7l5rSw0yVb\n", head + "n.tgz\tmd5\t2jmj7l5rSw0yVb/vlWAYkK/YBwk\n",
		head + "n.tgz\tsha1\t" + strings.Repeat("A", 500) + "\n",
	} {
		if d, ok := found([]byte(digests), "n.tgz"); ok {
			t.Errorf("%q: got %v", digests, d)
		}
	}
}

func FuzzDigest(f *testing.F) {
	f.Add("n-1.tgz", []byte(summaryFormat+"\nfile/m\tsha1\tAAAA\nfile/n-1.tgz\tsha1\t2jmj7l5rSw0yVb/vlWAYkK/YBwk\n"))
	f.Add("n", []byte(summaryFormat+"\n\n\t\n\nn\t"))
	f.Fuzz(func(t *testing.T, file string, digests []byte) {
		if d, ok := found(digests, file); ok && len(d.Sum) < sha1.Size {
			t.Fatalf("a digest of %d bytes", len(d.Sum))
		}
	})
}

func BenchmarkDigest(b *testing.B) {
	documents, err := made("n", kind.Source{Body: synthetic("n", 10<<20)})
	if err != nil {
		b.Fatal(err)
	}
	digests := []byte(kindtest.Contents(b, documents)[kind.Summary])
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := found(digests, "n-3.7.11.tgz"); !ok {
			b.Fatal("not found")
		}
	}
}
