package tarball_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"pkgedge/origin/sample/tarball"
	"strings"
	"testing"
)

func TestTarballIsDeterministicWithItsManifestFirst(t *testing.T) {
	files := map[string][]byte{
		"index.js": []byte("1"), "a.js": []byte("2"), "bin/x.js": []byte("3"), "package.json": []byte("{}"),
	}
	one, err := tarball.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := tarball.Pack(files); err != nil || !bytes.Equal(one, again) {
			t.Fatalf("another tarball, %v", err)
		}
	}
	zip, err := gzip.NewReader(bytes.NewReader(one))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(zip); ; {
		head, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, head.Name)
		if got := head.FileInfo().Mode().Perm(); (got == 0o755) != strings.Contains(head.Name, "bin/") {
			t.Errorf("%s has mode %v", head.Name, got)
		}
	}
	if got := strings.Join(names, " "); got != "package/package.json package/a.js package/bin/x.js package/index.js" {
		t.Errorf("names are %s", got)
	}
}

func TestDigestsAreThoseOfTheAlgorithms(t *testing.T) {
	// The digests of no bytes, as FIPS 180-4 implementations print them.
	if got := tarball.Shasum(nil); got != "da39a3ee5e6b4b0d3255bfef95601890afd80709" {
		t.Errorf("SHA-1 is %s", got)
	}
	const want = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
	if got := tarball.Integrity(nil); got != want {
		t.Errorf("SHA-512 is %s", got)
	}
}

func TestGzipIsReadByOthers(t *testing.T) {
	for _, size := range []int{0, 1, 1<<16 - 1, 1 << 16, 200_000} {
		want := tarball.Noise("gzip", size)
		zip, err := gzip.NewReader(bytes.NewReader(tarball.Gzip(want)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(zip); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes are %d, %v", size, len(got), err)
		}
	}
}
