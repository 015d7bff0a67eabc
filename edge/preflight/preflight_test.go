package preflight

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/kinds"
)

// checkOf checks a configuration, and returns its findings by key.
func checkOf(t *testing.T, text string) map[string]Finding {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	edgetest.WriteFile(t, path, text)
	cfg, err := config.Load(path, kinds.All(), edgetest.NoEnv)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]Finding)
	for _, f := range Check(t.Context(), cfg) {
		found[f.Key] = f
	}
	return found
}

func TestPortsAndSizes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	base := fmt.Sprintf("listen: %s\nadmin: { listen: '127.0.0.1:0' }\n", taken.Addr())
	for _, tt := range []struct{ cache, key, want string }{ // a want that begins with "!" is of a wrong one
		{"{}", "listen", "!in use, by another process or by an edge that runs already"},
		{"{}", "admin.listen", "is free"},
		{"{ disk: 1MiB, dir: " + dir + "/a/b }", "cache.disk", "1.0 MiB, on a file system of "},
		{"{ disk: 900000TiB, dir: " + dir + " }", "cache.disk", "!is more than the file system of " + dir + " has"},
		{"{ memory: 900000TiB }", "cache.memory", "!900000.0 TiB is more than nine tenths of the memory of "},
		{"{ memory: 64MiB }", "cache.memory", "64.0 MiB"},
	} {
		f, ok := checkOf(t, base+"cache: "+tt.cache+"\n")[tt.key]
		want, bad := strings.CutPrefix(tt.want, "!")
		if !ok || f.Wrong != bad || !strings.Contains(f.Text, want) {
			t.Errorf("%s, %s: %+v; want %s", tt.cache, tt.key, f, tt.want)
		}
	}
}

func TestMemTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       24625212 kB\nMemFree: 1 kB\n": 24625212 << 10,
		"MemFree: 1 kB\n": 0, "MemTotal: x kB\n": 0, "": 0,
	} {
		if got := memTotal(text); got != want {
			t.Errorf("%q: %d; want %d", text, got, want)
		}
	}
}

func TestMasters(t *testing.T) {
	credentials := ""
	answers := map[string]func(w http.ResponseWriter, r *http.Request){
		"empty": func(http.ResponseWriter, *http.Request) {},
		"json":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}\n") },
		"none":  func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"page":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"ill":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"barred": func(w http.ResponseWriter, r *http.Request) {
			credentials = r.Header.Get("Authorization")
			w.WriteHeader(http.StatusUnauthorized)
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "{")
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, rest, _ := strings.Cut(r.URL.Path[1:], "/")
		if rest != "-/ping" && rest != "probed" {
			t.Errorf("%s was asked for", r.URL.Path)
		}
		answers[name](w, r)
	}))
	defer s.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	const site = "listen: 127.0.0.1:0\nadmin: { listen: '' }\nsites: [{ name: npm, masters: [{ url: %q, role: primary }], %s }]\n"
	for _, tt := range []struct{ url, more, want string }{
		{s.URL + "/empty", "", "answers in "},
		{s.URL + "/json/", "", "answers in "},
		{s.URL + "/none", "", "answers in "}, // a ping need not exist
		{s.URL + "/none", "probe: { path: /probed }", "!answers probe.path /probed with 404 Not Found"},
		{s.URL + "/page", "", "!answers /-/ping with something that is no JSON: is it a registry of kind npm?"},
		{s.URL + "/page", "probe: { path: /probed }", "answers in "},
		{s.URL + "/ill", "", "!is in trouble: it answers /-/ping with 502 Bad Gateway"},
		{s.URL + "/barred", "credentials: Bearer x", "!are its credentials right?"},
		{s.URL + "/cut", "", "!breaks its answer off"},
		{gone.URL, "", "!does not answer"},
	} {
		f := checkOf(t, fmt.Sprintf(site, tt.url, tt.more))["site npm"]
		want, bad := strings.CutPrefix(tt.want, "!")
		if f.Wrong != bad || !strings.Contains(f.Text, want) || !strings.HasPrefix(f.Text, "primary "+strings.TrimSuffix(tt.url, "/")+" ") {
			t.Errorf("%s, %s: %+v; want %s", tt.url, tt.more, f, tt.want)
		}
	}
	if credentials != "Bearer x" {
		t.Errorf("asked with credentials %q", credentials)
	}
	if found := checkOf(t, "listen: 127.0.0.1:0\nadmin: { listen: '' }\n"); found["site npm"].Text != "" {
		t.Errorf("embedded samples are asked: %+v", found)
	}
}
