package origin

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

// Without a digest, gzip's own checksum and length must hold.
func TestFramingIsVerified(t *testing.T) {
	never := func(c *Config) { c.Digests = nil }
	small, large := zipped(tarball.Noise("x", 1000)), zipped(tarball.Noise("x", 3*smallFile))
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
				url := serveFunc(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
				r, err := newBehind(t, []string{url}, never).get(t, "/x/-/x-1.0.0.tgz")
				if name == "as it is" || name == "two members" {
					if err != nil {
						t.Fatal(err)
					}
					same(t, "file", r.body, body)
				} else if !errors.Is(err, errFile) || len(r.body) >= len(body) || size == "small" && r.responds != 0 {
					t.Errorf("%d of %d bytes came, %d responses, err = %v", len(r.body), len(body), r.responds, err)
				}
				if r, err := newBehind(t, []string{url}, never).get(t, "/x/-/x-1.0.0.zip"); err != nil || !bytes.Equal(r.body, body) {
					t.Errorf("under a name that promises nothing: %v", err)
				}
			})
		}
	}
}

// What is known of a file's bytes is told with its fields, and its ETag is the
// master's where that has one.
func TestFileSaysWhatItIs(t *testing.T) {
	w := newTwo(t)
	w.withLarge(t)
	for _, path := range []string{aTarball, largeTarball} {
		file := download(t, w.aURL+path)
		sum := sha512.Sum512(file)
		digest := "sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		for _, tagged := range []bool{true, false} {
			b := newBehind(t, w.bothURLs[:1])
			rule := w.a.Break(faults.Path(path), faults.Set("Repr-Digest", "sha-256=:AAAA:"))
			if !tagged {
				rule.Mend()
				rule = w.a.Break(faults.Path(path), faults.Set("Etag", ""))
			}
			r, err := b.get(t, path)
			if err != nil {
				t.Fatal(err)
			}
			rule.Mend()
			if got := r.header.Get("Repr-Digest"); got != digest {
				t.Errorf("%s: Repr-Digest: %s; want %s", path, got, digest)
			}
			if own := strings.HasPrefix(r.tag, `"sha512-`) && strings.HasSuffix(r.tag, `"`); own == tagged || tagged == (r.header.Get("Etag") == "") {
				t.Errorf("%s: tag %q, ETag %q", path, r.tag, r.header.Get("Etag"))
			}
		}
	}
	url := serveFunc(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Repr-Digest", "sha-256=:AAAA:")
		w.Write(zipped([]byte("x")))
	})
	r, err := newBehind(t, []string{url}, func(c *Config) { c.Digests = nil }).get(t, aTarball)
	if err != nil || r.header.Get("Repr-Digest") != "" || r.tag != "" {
		t.Errorf("of an unknown file: %q, %q, %v", r.header.Get("Repr-Digest"), r.tag, err)
	}
}

// A file that the policy withholds is not even asked for; nor is one of which
// nothing can be known.
func TestWithheldFile(t *testing.T) {
	w := newTwo(t)
	list := func(c *Config) { c.MinimumAge = 24 * time.Hour }
	if err := w.store.AddPackage("young", sample.Version{Number: "1.0.0", Published: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b := newBehind(t, w.bothURLs[:1], list)
	for path, status := range map[string]int{"/young/-/young-1.0.0.tgz": 451, "/young/-/other-1.0.0.tgz": 451, aTarball: 200} {
		r, err := b.get(t, path)
		if err != nil || r.status != status {
			t.Errorf("%s: %d, %v; want %d", path, r.status, err, status)
		}
		if status == 451 && (w.a.Count(faults.Path(path)) != 0 || !strings.Contains(string(r.body), `{"error":"`) || r.header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %q %v", path, r.body, r.header)
		}
	}
	b = newBehind(t, w.bothURLs[:1], list, listedBy(func(bool) ([]byte, error) { return nil, errors.New("no master answers") }))
	if r, err := b.get(t, aTarball); err == nil || r.responds != 0 {
		t.Errorf("with no list to be had: %d", r.status)
	}
}

// A document that changes by itself is stale when it does, and is then fetched
// whole.
func TestDocumentWithYoungVersions(t *testing.T) {
	w := newTwo(t)
	day := 24 * time.Hour
	for number, ago := range map[string]time.Duration{"1.0.0": 48 * time.Hour, "1.1.0": day - time.Minute, "1.2.0": time.Hour} {
		if err := w.store.AddPackage("young", sample.Version{Number: number, Published: time.Now().Add(-ago)}); err != nil {
			t.Fatal(err)
		}
	}
	b := newBehind(t, w.bothURLs[:1], func(c *Config) { c.MinimumAge = day })
	r, err := b.get(t, "/young")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(decode(t, r.part(t, "full", ""))["versions"].(map[string]any)); n != 1 {
		t.Errorf("%d versions; want 1", n)
	}
	var left int
	if _, err := fmt.Sscanf(r.header.Get("Cache-Control"), "public, max-age=%d", &left); err != nil || left > 60 || left < 30 {
		t.Errorf("Cache-Control: %s", r.header.Get("Cache-Control"))
	}
	for _, name := range []string{"Etag", "Last-Modified", "Expires"} {
		if r.header.Get(name) != "" {
			t.Errorf("%s: %s", name, r.header.Get(name))
		}
	}
}

func TestDoubtsAreBoundedAndPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoubts()
		a, b := &master{name: "a"}, &master{name: "b"}
		order := func(key string) string {
			o := []*master{a, b}
			d.last(o, key, time.Now())
			return o[0].name + o[1].name
		}
		d.add(a, "x", time.Now())
		if order("x") != "ba" || order("y") != "ab" {
			t.Errorf("x %s, y %s", order("x"), order("y"))
		}
		// Each has its turn.
		for _, next := range []struct {
			wrong *master
			want  string
		}{{b, "ab"}, {a, "ba"}, {b, "ab"}} {
			<-time.After(time.Second)
			if d.add(next.wrong, "x", time.Now()); order("x") != next.want {
				t.Errorf("after %s was wrong: %s", next.wrong.name, order("x"))
			}
		}
		<-time.After(doubtFor)
		if order("x") != "ab" || len(d.about) != 0 {
			t.Errorf("x %s later, and %d doubts", order("x"), len(d.about))
		}
		for i := range 2 * maxDoubts {
			d.add(a, fmt.Sprint(i), time.Now())
			<-time.After(time.Millisecond)
		}
		if len(d.about) > maxDoubts || order(fmt.Sprint(2*maxDoubts-1)) != "ba" || order("0") != "ab" {
			t.Errorf("%d doubts", len(d.about))
		}
	})
}
