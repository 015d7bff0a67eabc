package daemon

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pkgedge/cache/purge"
	"pkgedge/edge/config"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/sample/tarball"
)

// profiles are the files of docs/profiles.md, with masters of a test.
func profiles(t *testing.T, master string) (all []*config.Config) {
	t.Helper()
	text, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(master)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		file, _, _ := strings.Cut(block, "```")
		for _, name := range []string{"ACME_TOKEN", "EDGE_ADMIN_TOKEN", "EDGE_HOOK_SECRET"} {
			file = strings.ReplaceAll(file, "${"+name+"}", "0123456789abcdef")
		}
		cfg := configured(t, file)
		cfg.Listen, cfg.TLS, cfg.Admin = "127.0.0.1:0", config.TLS{}, config.Admin{}
		cfg.Log.Access = config.AccessOff
		cfg.Cache.Memory, cfg.Cache.Disk = 64<<20, 0
		s := &cfg.Sites[0]
		s.Masters, s.Files, s.Changes = []config.Master{{URL: at, Role: config.RolePrimary}}, nil, config.Changes{}
		all = append(all, cfg)
	}
	return all
}

// tiny is a registry of as many packages as are asked for, each with one small tarball.
// Names that begin with "no-" do not exist.
type tiny struct{}

func (tiny) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, file, isFile := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/")
	packed := tarball.Gzip([]byte("the tarball of " + name))
	switch sum := sha512.Sum512(packed); {
	case strings.HasPrefix(name, "no-"), isFile && file != name+"-1.0.0.tgz":
		http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
	case isFile:
		w.Write(packed)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name":%q,"dist-tags":{"latest":"1.0.0"},"time":{"1.0.0":"2020-01-01T00:00:00.000Z"},`+
			`"versions":{"1.0.0":{"name":%[1]q,"version":"1.0.0","dist":{"tarball":"http://%s/%[1]s/-/%[1]s-1.0.0.tgz","integrity":"sha512-%s"}}}}`,
			name, r.Host, base64.StdEncoding.EncodeToString(sum[:]))
	}
}

// guest is a client of an edge at one address.
type guest struct {
	t    *testing.T
	edge *testEdge
	addr string
}

func (g *guest) get(path string) int {
	r := httptest.NewRequest(http.MethodGet, g.edge.cfg.Public(&g.edge.cfg.Sites[0]).String()+path, nil)
	r.URL.Scheme, r.URL.Host = "", ""
	r.RemoteAddr = g.addr + ":40000"
	w := httptest.NewRecorder()
	g.edge.handler.ServeHTTP(w, r)
	return w.Code
}

// all gets paths, four at a time, and wants one status for each.
func (g *guest) all(n int, path func(int) string, want int) {
	g.t.Helper()
	var wg sync.WaitGroup
	var wrong atomic.Int64
	places := make(chan struct{}, 4)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if got := g.get(path(i)); got != want && wrong.Add(1) <= 3 {
				g.t.Errorf("GET %s: %d, want %d", path(i), got, want)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		g.t.Errorf("%d of %d are wrong", wrong.Load(), n)
	}
}

func packumentOf(i int) string { return fmt.Sprintf("/pkg-%d", i) }
func tarballOf(i int) string   { return fmt.Sprintf("/pkg-%d/-/pkg-%[1]d-1.0.0.tgz", i) }

// The limits of each profile let a cold install of 1,200 packages pass, end a flood of
// names that do not exist, and refuse no hit: neither beside the flood, nor in an outage.
//
// Costs are sums, so that a tenth of the packages stands for all before a tenth of the limits.
func TestProfilesLimitFloodsAndNoInstall(t *testing.T) {
	t.Parallel()
	const tenth = 10
	master := httptest.NewServer(tiny{})
	for i, cfg := range profiles(t, master.URL) {
		limited, packages := cfg.Limits.Rate > 0, 1200/tenth
		if !limited {
			packages = 10 // nothing counts them
		}
		cfg.Limits.Rate, cfg.Limits.Burst = cfg.Limits.Rate/tenth, cfg.Limits.Burst/tenth
		t.Run(fmt.Sprintf("file %d", i+1), func(t *testing.T) {
			cfg.Cache.Dir = fastDir(t)
			e := newTestDaemon(t, cfg, edgetest.QuietLog())
			e.openTestCache(t)
			serveEdge(t, e)
			installs, floods, offline := &guest{t, e, "192.0.2.1"}, &guest{t, e, "192.0.2.2"}, &guest{t, e, "192.0.2.3"}

			installs.all(packages, packumentOf, http.StatusOK)
			installs.all(packages, tarballOf, http.StatusOK)

			refused := 0
			for n := range 100 { // five times the burst
				if floods.get(fmt.Sprintf("/no-%d", n)) == http.StatusTooManyRequests {
					refused++
				}
			}
			if limited != (refused > 0) {
				t.Errorf("%d of 100 names that do not exist get 429", refused)
			}
			floods.all(5, packumentOf, http.StatusOK)

			if i == 2 {
				master.Close()
				if err := e.cache.Purge(purge.Purge{Scope: purge.Site, Site: "npm", Soft: true}); err != nil {
					t.Fatal(err)
				}
				offline.all(packages, func(i int) string { return fmt.Sprintf("/no-other-%d", i) }, http.StatusServiceUnavailable)
				offline.all(packages, packumentOf, http.StatusOK)
			}
		})
	}
}
