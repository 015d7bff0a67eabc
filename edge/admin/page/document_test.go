package page

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, fields ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// The policy lets the browser run the scripts of the page, and nothing else: no other script, no
// attribute that is one, no request to anywhere else.
func TestThePolicyNamesTheScriptsOfThePage(t *testing.T) {
	resp := get(t, new(Document))
	body, _ := io.ReadAll(resp.Body)
	text, policy := string(body), resp.Header.Get("Content-Security-Policy")
	for _, element := range []string{"script", "style"} {
		found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(text, -1)
		if len(found) != 2 {
			t.Fatalf("%d of <%s>; want uPlot's and ours", len(found), element)
		}
		for _, m := range found {
			sum := sha256.Sum256([]byte(m[1]))
			if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, hash) {
				t.Errorf("a <%s> is not in %s", element, policy)
			}
		}
		if n := strings.Count(text, "<"+element); n != 2 {
			t.Errorf("%d of <%s, which is more than two without attributes", n, element)
		}
	}
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is lax: %s", policy)
	}
	ours := strings.NewReplacer(uplotJS, "", uplotLicence, "").Replace(text)
	if m := regexp.MustCompile(`(?i)(src|href|action)=["']?(https?:)?//|\son[a-z]+=|\sstyle=`).FindString(ours); m != "" {
		t.Errorf("the page has %q", m)
	}
	if !strings.Contains(text, "Leon Sorokin") || !strings.Contains(text, "v1.6.32") {
		t.Error("the licence of uPlot is not with it")
	}
}

func TestTheDocumentIsValidatedAndCompressed(t *testing.T) {
	var d Document
	whole := get(t, &d)
	text, _ := io.ReadAll(whole.Body)
	zipped := get(t, &d, "Accept-Encoding: gzip, br")
	if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Etag") == whole.Header.Get("Etag") {
		t.Errorf("compressed: %v", zipped.Header)
	}
	r, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if back, _ := io.ReadAll(r); string(back) != string(text) {
		t.Error("the compressed form is another one")
	}
	for _, is := range []*http.Response{whole, zipped} {
		again := get(t, &d, "Accept-Encoding: "+is.Header.Get("Content-Encoding"), "If-None-Match: "+is.Header.Get("Etag"))
		if again.StatusCode != http.StatusNotModified || again.Header.Get("Vary") == "" || again.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("validated: %d %v", again.StatusCode, again.Header)
		}
	}
	if len(text) > 128<<10 {
		t.Errorf("the page has %d bytes", len(text))
	}
}
