package daemon

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/origin/sample"
)

// spoil damages every chunk of the stored responses that are large, and returns how
// many those are.
func (s *served) spoil(t *testing.T) (files int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.edge.cfg.Cache.Dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) < 1<<20 {
			return err
		}
		files++
		for i := 32 << 10; i < len(b)-128; i += 64 { // behind the fields, and before the sums
			b[i] ^= 1
		}
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A large document is checked while it is read. One that rots is fetched again, as
// a small one is, for every part of it.
func TestDamagedDocumentIsFetchedAgain(t *testing.T) {
	t.Parallel()
	s := newServed(t, "minimum_age: 24h") // so that no file is served without its document
	if err := s.store.AddPackage("large", sample.Version{Number: "1.0.0", Readme: strings.Repeat("It is long. ", 120_000)}); err != nil {
		t.Fatal(err)
	}
	stored := func() {
		t.Helper()
		if resp, _ := s.get(t, "/large"); resp.StatusCode != http.StatusOK {
			t.Fatalf("%d", resp.StatusCode)
		}
		if n := s.spoil(t); n != 1 {
			t.Fatalf("%d large documents are stored", n)
		}
	}
	for path, want := range map[string]struct {
		text  string
		reads int
	}{
		"/large/1.0.0":               {`"version":"1.0.0"`, 1},
		"/large/-/large-1.0.0.tgz":   {"", 2}, // whose digest is in the document, and itself
		"/-/package/large/dist-tags": {`"latest":"1.0.0"`, 1},
	} {
		stored()
		before := s.reads("/large")
		if resp, body := s.get(t, path); resp.StatusCode != http.StatusOK || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d %.80q", path, resp.StatusCode, body)
		}
		if n := s.reads("/large") - before; n != want.reads {
			t.Errorf("%s: masters were asked %d times; want %d", path, n, want.reads)
		}
	}
}
