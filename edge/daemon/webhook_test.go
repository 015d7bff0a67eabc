package daemon

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

const hookSecret = "a-secret-of-the-tests"

func sign(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a hook with that signature, "" for none.
func (s *served) post(t *testing.T, method, path, body, signature string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if signature != "" {
		req.Header.Set("x-npm-signature", signature)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp
}

const published = `{"event":"package:publish","name":"edge-sample-words","type":"package","version":"1.0.0","hookOwner":{"username":"me"},"payload":{"name":"edge-sample-words"},"change":{"version":"3.0.0"},"time":1603444214995}`

func TestAHookMakesAPublishVisible(t *testing.T) {
	s := newServed(t, "changes: { secret: "+hookSecret+" }, fresh: { metadata: 10h, missing: 1h, override: true }")
	const path = "/edge-sample-words"
	s.get(t, path)
	if resp, _ := s.get(t, path+"/3.0.0"); resp.StatusCode != 404 {
		t.Fatal(resp.StatusCode)
	}
	if err := s.store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"}); err != nil {
		t.Fatal(err)
	}
	if _, body := s.get(t, path); strings.Contains(body, "3.0.0") {
		t.Fatal("it is visible without a hook")
	}
	for range 2 { // told again, it does no harm
		if resp := s.post(t, "POST", "/hooks/npm", published, sign(published, hookSecret)); resp.StatusCode != http.StatusNoContent || resp.Header.Get("Cache-Status") != "edge; detail=local" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		if resp, _ := s.get(t, path+"/3.0.0"); resp.StatusCode != 200 {
			t.Errorf("the version: %d", resp.StatusCode)
		}
		if _, body := s.get(t, path); !strings.Contains(body, "3.0.0") {
			t.Error("the packument is the old one")
		}
	}
}

// A message that a listener on the way sends again has no effect.
func TestAHookToldAgainIsNotPutInForceAgain(t *testing.T) {
	s := newServed(t, "changes: { secret: "+hookSecret+" }, fresh: { metadata: 10h, override: true }")
	const path = "/edge-sample-words"
	other := strings.Replace(published, "1.0.0", "2.0.0", 1)
	for i, body := range []string{published, published, other, published, other} {
		s.get(t, path)
		if resp := s.post(t, "POST", "/hooks/npm", body, sign(body, hookSecret)); resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp.StatusCode)
		}
		before := s.reads("/")
		s.get(t, path)
		if asked, want := s.reads("/") > before, i == 0 || i == 2; asked != want {
			t.Errorf("hook %d is put in force: %v", i, asked)
		}
	}
}

// A body is not read before its signature could be one, nor while others are.
func TestHooksBodiesThatAreNotRead(t *testing.T) {
	s := newServed(t, "changes: { secret: "+hookSecret+" }")
	withoutBody := func(signature string) *http.Response {
		t.Helper()
		body, w := io.Pipe() // nothing ever comes
		defer w.Close()
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/hooks/npm", body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 1000
		req.Header["X-Npm-Signature"] = []string{signature}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	for _, signature := range []string{"", "sha256=", "sha256=00", strings.Repeat("0", 64), "sha256=" + strings.Repeat("0", 66)} {
		if resp := withoutBody(signature); resp.StatusCode != 403 {
			t.Errorf("%q: %d", signature, resp.StatusCode)
		}
	}
}

func TestHooksThatAreRefused(t *testing.T) {
	s := newServed(t, "changes: { secret: "+hookSecret+" }")
	large := `{"name":"` + strings.Repeat("a", 1<<20) + `"}`
	signedBy := func(body string) string { return sign(body, hookSecret) }
	for name, tt := range map[string]struct {
		method, body, signature string
		status                  int
	}{
		"no signature":        {"POST", published, "", 403},
		"another secret":      {"POST", published, sign(published, "another"), 403},
		"no secret":           {"POST", published, sign(published, ""), 403},
		"another body":        {"POST", published + " ", signedBy(published), 403},
		"a cut signature":     {"POST", published, signedBy(published)[:40], 403},
		"no hex":              {"POST", published, "sha256=" + strings.Repeat("x", 64), 403},
		"another digest":      {"POST", published, strings.Replace(signedBy(published), "256", "512", 1), 403},
		"too large":           {"POST", large, signedBy(large), 413},
		"no JSON":             {"POST", "name=a", signedBy("name=a"), 400},
		"no body":             {"POST", "", signedBy(""), 400},
		"no name":             {"POST", `{"event":"package:publish"}`, signedBy(`{"event":"package:publish"}`), 400},
		"a name that is none": {"POST", `{"name":"../../x"}`, signedBy(`{"name":"../../x"}`), 400},
		"a name of a file":    {"POST", `{"name":"a/-/a-1.tgz"}`, signedBy(`{"name":"a/-/a-1.tgz"}`), 400},
		"a name of a control": {"POST", `{"name":"a\u0000b"}`, signedBy(`{"name":"a\u0000b"}`), 400},
		"another method":      {"PUT", published, signedBy(published), 405},
	} {
		resp := s.post(t, tt.method, "/hooks/npm", tt.body, tt.signature)
		if resp.StatusCode != tt.status || resp.Header.Get("Cache-Status") != "edge; detail=refused" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
		if tt.status == 405 && resp.Header.Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s: Allow %q", name, resp.Header.Get("Allow"))
		}
	}
	if n := s.reads("/") + s.masters[0].Count(faults.Any); n != 0 {
		t.Errorf("%d requests reached the masters", n)
	}
}

func TestNoHookWithoutASecret(t *testing.T) {
	s := newServed(t, "changes: { secret: '' }")
	for _, signature := range []string{"", sign(published, "")} {
		if resp := s.post(t, "POST", "/hooks/npm", published, signature); resp.StatusCode != 404 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
	if n := s.masters[0].Count(faults.Any) + s.masters[1].Count(faults.Any); n != 0 {
		t.Errorf("%d requests reached the masters", n)
	}
}

// The package "hooks" and its version "npm" are there as ever, and so are other
// paths below it.
func TestAHookIsInNobodysWay(t *testing.T) {
	s := newServed(t, "changes: { secret: "+hookSecret+" }")
	if err := s.store.AddPackage("hooks", sample.Version{Number: "1.0.0", Tags: []string{"npm", "latest"}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/hooks": `"name":"hooks"`, "/hooks/npm": `"version":"1.0.0"`, "/hooks/1.0.0": `"version":"1.0.0"`} {
		if resp, body := s.get(t, path); resp.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.100s", path, resp.StatusCode, body)
		}
	}
	for _, path := range []string{"/hooks/other", "/hooks/npm/more", "/hooks"} {
		before := s.masters[0].Count(faults.Any)
		s.post(t, "POST", path, published, sign(published, hookSecret))
		if s.masters[0].Count(faults.Any) != before+1 {
			t.Errorf("%s did not reach the primary", path)
		}
	}
}

// A message costs as much as a miss, and is refused when the client has spent its
// budget.
func TestHooksCountAgainstTheClientsLimit(t *testing.T) {
	s := newServed(t, "changes: { secret: "+hookSecret+" } }]\nlimits: { rate: 0.001, burst: 25 }\n#")
	for i, want := range []int{204, 403, 429, 429} {
		signature := sign(published, hookSecret)
		if want == 403 {
			signature = "sha256=00"
		}
		resp := s.post(t, "POST", "/hooks/npm", published, signature)
		if resp.StatusCode != want {
			t.Errorf("hook %d: %d; want %d", i, resp.StatusCode, want)
		}
	}
}

// A site below a prefix, and for one host only, has its hook at the same place.
func TestTheHookOfASiteBelowAPrefix(t *testing.T) {
	s := newServed(t, "path: /registry/, hosts: [registry.example], changes: { secret: "+hookSecret+" }")
	if resp := s.post(t, "POST", "/hooks/npm", published, sign(published, hookSecret)); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d", resp.StatusCode)
	}
}
