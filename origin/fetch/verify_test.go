package fetch

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/origintest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
	"pkgedge/origin/verify"
)

// Without a digest, gzip's own checksum and length must hold.
func TestFramingIsVerified(t *testing.T) {
	never := func(c *setup) { c.List = nil }
	small, large := tarball.Gzip(tarball.Noise("x", 1000)), tarball.Gzip(tarball.Noise("x", smallFile+smallFile/4))
	for name, spoil := range map[string]func(b []byte) []byte{
		"as it is":           func(b []byte) []byte { return b },
		"two members":        func(b []byte) []byte { return append(bytes.Clone(b), b...) },
		"a wrong byte":       func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b },
		"a wrong checksum":   func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-6] ^= 1; return b },
		"a wrong length":     func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b },
		"cut cleanly":        func(b []byte) []byte { return b[:len(b)-9] },
		"garbage at the end": func(b []byte) []byte { return append(bytes.Clone(b), "garbage"...) },
		"not gzip":           func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) },
	} {
		for size, good := range map[string][]byte{"small": small, "large": large} {
			t.Run(name+", "+size, func(t *testing.T) {
				body := spoil(good)
				url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
				r, err := newBehind(t, []string{url}, never).get(t, "/x/-/x-1.0.0.tgz")
				if name == "as it is" || name == "two members" {
					if err != nil {
						t.Fatal(err)
					}
					origintest.Same(t, "file", r.Body, body)
				} else if !errors.Is(err, verify.ErrFile) || len(r.Body) >= len(body) || size == "small" && r.Responds != 0 {
					t.Errorf("%d of %d bytes came, %d responses, err = %v", len(r.Body), len(body), r.Responds, err)
				}
				if r, err := newBehind(t, []string{url}, never).get(t, "/x/-/x-1.0.0.zip"); err != nil || !bytes.Equal(r.Body, body) {
					t.Errorf("under a name that promises nothing: %v", err)
				}
			})
		}
	}
}

// The digest of a file is told with its fields, and its ETag is the
// master's where that has one.
func TestFileSaysWhatItIs(t *testing.T) {
	w := origintest.NewTwo(t)
	w.AddLarge(t)
	for _, path := range []string{aTarball, origintest.LargeTarball} {
		file := origintest.Download(t, w.AURL+path)
		sum := sha512.Sum512(file)
		digest := "sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		for _, tagged := range []bool{true, false} {
			b := newBehind(t, w.URLs[:1])
			rule := w.A.Break(faults.Path(path), faults.Set("Repr-Digest", "sha-256=:AAAA:"))
			if !tagged {
				rule.Mend()
				rule = w.A.Break(faults.Path(path), faults.Set("Etag", ""))
			}
			r, err := b.get(t, path)
			if err != nil {
				t.Fatal(err)
			}
			rule.Mend()
			if got := r.Header.Get("Repr-Digest"); got != digest {
				t.Errorf("%s: Repr-Digest: %s; want %s", path, got, digest)
			}
			if own := strings.HasPrefix(r.ETag, `"sha512-`) && strings.HasSuffix(r.ETag, `"`); own == tagged || tagged == (r.Header.Get("Etag") == "") {
				t.Errorf("%s: tag %q, ETag %q", path, r.ETag, r.Header.Get("Etag"))
			}
		}
	}
	url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Repr-Digest", "sha-256=:AAAA:")
		w.Write(tarball.Gzip([]byte("x")))
	})
	r, err := newBehind(t, []string{url}, func(c *setup) { c.List = nil }).get(t, aTarball)
	if err != nil || r.Header.Get("Repr-Digest") != "" || r.ETag != "" {
		t.Errorf("of an unknown file: %q, %q, %v", r.Header.Get("Repr-Digest"), r.ETag, err)
	}
}

// A file that the policy withholds is not even asked for; nor is one of which
// nothing can be known.
func TestWithheldFile(t *testing.T) {
	w := origintest.NewTwo(t)
	list := func(c *setup) { c.MinimumAge = 24 * time.Hour }
	if err := w.Store.AddPackage("young", sample.Version{Number: "1.0.0", Published: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b := newBehind(t, w.URLs[:1], list)
	for path, status := range map[string]int{"/young/-/young-1.0.0.tgz": 451, "/young/-/other-1.0.0.tgz": 451, aTarball: 200} {
		r, err := b.get(t, path)
		if err != nil || r.Status != status {
			t.Errorf("%s: %d, %v; want %d", path, r.Status, err, status)
		}
		if status == 451 && (w.A.Count(faults.Path(path)) != 0 || !strings.Contains(string(r.Body), `{"error":"`) || r.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %q %v", path, r.Body, r.Header)
		}
	}
	b = newBehind(t, w.URLs[:1], list, listedBy(func(bool) ([]byte, error) { return nil, errors.New("no master answers") }))
	if r, err := b.get(t, aTarball); err == nil || r.Responds != 0 {
		t.Errorf("with no list to be had: %d", r.Status)
	}
}

// A document that changes by itself is stale when it does, and is then fetched
// whole.
func TestDocumentWithYoungVersions(t *testing.T) {
	w := origintest.NewTwo(t)
	day := 24 * time.Hour
	published := time.Now()
	for number, ago := range map[string]time.Duration{"1.0.0": 48 * time.Hour, "1.1.0": day - time.Minute, "1.2.0": time.Hour} {
		if err := w.Store.AddPackage("young", sample.Version{Number: number, Published: published.Add(-ago)}); err != nil {
			t.Fatal(err)
		}
	}
	b := newBehind(t, w.URLs[:1], func(c *setup) { c.MinimumAge = day })
	least := func() int { return 59 - int(time.Since(published)/time.Second) }
	r, err := b.get(t, "/young")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(decode(t, r.Find(t, "full", ""))["versions"].(map[string]any)); n != 1 {
		t.Errorf("%d versions; want 1", n)
	}
	var left int
	if _, err := fmt.Sscanf(r.Header.Get("Cache-Control"), "public, max-age=%d", &left); err != nil || left > 60 || left < least() {
		t.Errorf("Cache-Control: %s", r.Header.Get("Cache-Control"))
	}
	for _, name := range []string{"Etag", "Last-Modified", "Expires"} {
		if r.Header.Get(name) != "" {
			t.Errorf("%s: %s", name, r.Header.Get(name))
		}
	}
}
