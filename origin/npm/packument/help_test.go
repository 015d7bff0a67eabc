package packument

import (
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
)

const testBase = "http://edge.example/registry"

// made makes the documents of a packument.
func made(name string, from kind.Source) ([]kind.Document, error) {
	return Make(name, from, Options{Tarballs: testBase + "/" + name + "/-/"})
}

// prepare makes the documents of a packument and returns them by variant.
func prepare(t testing.TB, name, body string) map[string]string {
	t.Helper()
	documents, err := made(name, kind.Source{Body: []byte(body)})
	if err != nil {
		t.Fatalf("Make: %v\n%.500s", err, body)
	}
	return kindtest.Contents(t, documents)
}

// found is the digest of a tarball in a summary.
func found(summary []byte, file string) (kind.Digest, bool) {
	f, ok := Find(summary, "n", file)
	return f.Digest, ok && f.Digest.Algorithm != ""
}
