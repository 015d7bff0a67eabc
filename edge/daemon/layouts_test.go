package daemon

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample/tarball"
)

// oddRegistry keeps the tarballs of two versions at one path each, and nothing else.
type oddRegistry struct {
	name, url string
	files     string // where its tarballs are, "" for its own URL

	mu   sync.Mutex
	told []string // "URI Authorization" of everything but pings and packuments
}

func newOddRegistry(t *testing.T, name string) *oddRegistry {
	o := &oddRegistry{name: name}
	o.url = newOrigin(t, o)
	o.files = o.url
	return o
}

func oddTarball(name, version string) []byte {
	return tarball.Gzip([]byte(name + "@" + version))
}

func oddPath(version string) string { return "/-/files/" + version + "/abc?sig=a%2Fb" }

func (o *oddRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/-/ping":
		io.WriteString(w, "{}")
		return
	case "/" + o.name:
		var versions []string
		for _, v := range []string{"1.0.0", "2.0.0"} {
			versions = append(versions, fmt.Sprintf(`%q:{"dist":{"tarball":"%s%s","shasum":"%x"}}`, v, o.files, oddPath(v), sha1.Sum(oddTarball(o.name, v))))
		}
		fmt.Fprintf(w, `{"name":%q,"dist-tags":{"latest":"2.0.0"},"versions":{%s}}`, o.name, strings.Join(versions, ","))
		return
	}
	o.mu.Lock()
	o.told = append(o.told, strings.TrimSpace(r.RequestURI+" "+r.Header.Get("Authorization")))
	o.mu.Unlock()
	for _, v := range []string{"1.0.0", "2.0.0"} {
		if r.RequestURI == oddPath(v) {
			w.Write(oddTarball(o.name, v))
			return
		}
	}
	http.Error(w, `{"error":"Not found"}`, http.StatusNotFound)
}

// A client that comes with a lockfile to an edge without a stored response gets each
// tarball from where the packument says: with the credentials of the masters that it is
// of, and with none from another host.
func TestALockfileAndAnOddRegistry(t *testing.T) {
	own, scoped, remote, cdn := newOddRegistry(t, "n"), newOddRegistry(t, "@s/n"), newOddRegistry(t, "@r/n"), newOddRegistry(t, "@r/n")
	remote.files = strings.Replace(cdn.url, "127.0.0.1", "localhost", 1)
	config := fmt.Sprintf(`sites: [{ name: npm, path: /npm/, deny: ["n@2.0.0"], credentials: "Bearer own", masters: [{ url: %q, role: primary }], scopes: {
  "@s": { credentials: "Bearer scoped", masters: [{ url: %q, role: primary }] },
  "@r": { credentials: "Bearer remote", masters: [{ url: %q, role: primary }] } } }]`, own.url, scoped.url, remote.url)
	client := edgetest.NewClient(t, nil)
	given := map[string]string{} // paths by "name@version"
	get := func(e *testEdge, path string) (int, string) {
		resp, body, err := edgetest.GetText(t, client, "http://"+e.cfg.Listen+path)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	for _, state := range []string{"first", "cold", "once more"} {
		e := newTestEdge(t, config, true)
		stop := e.serve()
		for _, name := range []string{"n", "@s/n", "@r/n"} {
			if state == "first" {
				_, body := get(e, "/npm/"+name)
				var p struct {
					Versions map[string]struct{ Dist struct{ Tarball string } }
				}
				if err := json.Unmarshal([]byte(body), &p); err != nil {
					t.Fatalf("%v: %s", err, body)
				}
				for v, m := range p.Versions {
					path, ok := strings.CutPrefix(m.Dist.Tarball, "http://"+e.cfg.Listen)
					if !ok || path != "/npm/"+name+"/-/n-"+v+".tgz" {
						t.Errorf("%s@%s: %s", name, v, m.Dist.Tarball)
					}
					given[name+"@"+v] = path
				}
				if _, denied := p.Versions["2.0.0"]; denied == (name == "n") {
					t.Errorf("%s: %s", name, body)
				}
			}
			for _, v := range []string{"1.0.0", "2.0.0"} {
				path, denied := given[name+"@"+v], name == "n" && v == "2.0.0"
				if denied { // by its usual name, and by the name at the master
					for _, file := range []string{"n-2.0.0.tgz", "abc"} {
						if status, body := get(e, "/npm/n/-/"+file); status == http.StatusOK {
							t.Errorf("%s: %s: %d, %.40q", state, file, status, body)
						}
					}
					continue
				}
				if status, body := get(e, path); status != http.StatusOK || body != string(oddTarball(name, v)) {
					t.Errorf("%s: %s@%s at %s: %d, %.40q", state, name, v, path, status, body)
				}
			}
		}
		stop()
	}
	for _, tt := range []struct {
		*oddRegistry
		credential string
		versions   []string
	}{{own, " Bearer own", []string{"1.0.0"}}, {scoped, " Bearer scoped", []string{"1.0.0", "2.0.0"}}, {cdn, "", []string{"1.0.0", "2.0.0"}}} {
		var want []string
		for range 3 {
			for _, v := range tt.versions {
				want = append(want, oddPath(v)+tt.credential)
			}
		}
		told := slices.DeleteFunc(tt.told, func(s string) bool { return strings.HasPrefix(s, "/n/-/abc") || strings.HasPrefix(s, "/n/-/n-2") })
		if !slices.Equal(told, want) {
			t.Errorf("%s: %q; want %q", tt.name, told, want)
		}
	}
	if len(remote.told) > 0 {
		t.Errorf("the master whose files are elsewhere was asked for %q", remote.told)
	}
}
