package fetch

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample/tarball"
)

// keeper is a master that keeps the tarballs of a package where it likes: it has exactly
// the URLs that its packument names.
type keeper struct {
	*httptest.Server
	name   string
	layout func(base, name, version string) string
	host   string // of the tarballs, "" for its own

	mu     sync.Mutex
	asked  []string // request URIs, but for packuments
	tokens []string // Authorization of those
	lists  int      // requests for packuments
	fails  int      // status of every tarball, 0 for none
}

var keptVersions = []string{"1.0.0", "2.0.0-rc.1"}

func newKeeper(t *testing.T, name string, layout func(base, name, version string) string) *keeper {
	k := &keeper{name: name, layout: layout}
	k.Server = httptest.NewServer(k)
	t.Cleanup(k.Close)
	return k
}

func (k *keeper) at(version string) string {
	base := k.host
	if base == "" {
		base = k.URL
	}
	return k.layout(base, k.name, version)
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.URL.Path == "/"+k.name {
		k.lists++
		var versions []string
		for _, v := range keptVersions {
			sum := sha512.Sum512(tarballOf(k.name, v))
			versions = append(versions, fmt.Sprintf(`%q:{"name":%q,"version":%[1]q,"dist":{"tarball":%[3]q,"integrity":"sha512-%[4]s"}}`,
				v, k.name, k.at(v), base64.StdEncoding.EncodeToString(sum[:])))
		}
		fmt.Fprintf(w, `{"name":%q,"dist-tags":{"latest":"1.0.0"},"versions":{%s}}`, k.name, strings.Join(versions, ","))
		return
	}
	k.asked = append(k.asked, r.URL.RequestURI())
	k.tokens = append(k.tokens, r.Header.Get("Authorization"))
	if k.fails != 0 {
		w.WriteHeader(k.fails)
		return
	}
	for _, v := range keptVersions {
		if at := k.layout("", k.name, v); at == r.URL.RequestURI() || at == "" {
			w.Write(tarballOf(k.name, v))
			return
		}
	}
	http.Error(w, `{"error":"Not found"}`, http.StatusNotFound)
}

// requests returns and forgets the requests for tarballs.
func (k *keeper) requests() (asked, tokens []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked, tokens = k.asked, k.tokens
	k.asked, k.tokens = nil, nil
	return asked, tokens
}

func tarballOf(name, version string) []byte {
	return tarball.Gzip([]byte(name + "@" + version))
}

func baseName(name string) string { return name[strings.IndexByte(name, '/')+1:] }

// layoutsInTheWild are ways of registries to name the place of a tarball.
var layoutsInTheWild = map[string]func(base, name, version string) string{
	"usual":             func(b, n, v string) string { return b + "/" + n + "/-/" + baseName(n) + "-" + v + ".tgz" },
	"scope in the file": func(b, n, v string) string { return b + "/" + n + "/-/" + n + "-" + v + ".tgz" },
	"name escaped": func(b, n, v string) string {
		return b + "/" + strings.Replace(n, "/", "%2f", 1) + "/-/" + baseName(n) + "-" + v + ".tgz"
	},
	"folder of versions": func(b, n, v string) string { return b + "/" + n + "/-/" + v + "/" + baseName(n) + "-" + v + ".tgz" },
	"tilde":              func(b, n, v string) string { return b + "/~/11/" + n + "/" + v + ".tgz" },
	"digest":             func(b, n, v string) string { return b + "/download/" + n + "/" + v + "/abc" },
	"query": func(b, n, v string) string {
		return b + "/" + n + "/download/" + baseName(n) + "-" + v + ".tgz?cache=0&other_urls=http%3A%2F%2Fx"
	},
	"query in the usual": func(b, n, v string) string { return b + "/" + n + "/-/" + baseName(n) + "-" + v + ".tgz?v=1" },
	"project's number": func(b, n, v string) string {
		return b + "/api/v4/projects/7/packages/npm/" + n + "/-/" + n + "-" + v + ".tgz"
	},
	"other base":        func(b, n, v string) string { return b + "/projects/7/" + n + "/-/" + baseName(n) + "-" + v + ".tgz" },
	"one basename":      func(b, n, v string) string { return b + "/files/" + v + "/package.tgz" },
	"only a query":      func(b, n, v string) string { return b + "/get?name=" + n + "&version=" + v },
	"ends with a slash": func(b, n, v string) string { return b + "/files/" + n + "/" + v + "/" },
	"escapes": func(b, n, v string) string {
		return b + "/files/%E2%82%AC%20" + strings.ReplaceAll(v, ".", "%2E") + ".tgz"
	},
}

var tarballURL = regexp.MustCompile(`"tarball":"` + regexp.QuoteMeta(origintest.PublicBase) + `([^"]*)"`)

// given are the paths that a client finds in the packument, by version.
func (b *behind) given(t *testing.T, name string) map[string]string {
	t.Helper()
	r, err := b.get(t, "/"+strings.Replace(name, "/", "%2f", 1))
	if err != nil {
		t.Fatal(err)
	}
	found := tarballURL.FindAllSubmatch(r.Find(t, "full", ""), -1)
	paths := map[string]string{}
	for i, v := range keptVersions {
		if len(found) != len(keptVersions) {
			t.Fatalf("%s: tarballs %q", name, found)
		}
		paths[v] = string(found[i][1])
	}
	return paths
}

// Every layout, by the name in the packument, and by it after a start: the master is asked
// exactly for the place that its packument names, and with the client's credential.
func TestTarballsAreAskedForWhereThePackumentSays(t *testing.T) {
	for layout, of := range layoutsInTheWild {
		for _, name := range []string{"n", "@s/n"} {
			m := newKeeper(t, name, of)
			paths := newBehind(t, []string{m.URL}).given(t, name)
			for version, path := range paths {
				for _, state := range []string{"cold", "warm"} {
					b := newBehind(t, []string{m.URL})
					if state == "warm" {
						b.given(t, name)
					}
					r, err := b.ask(t, pool.Request{Route: b.route(path), Header: http.Header{"Authorization": {"Bearer t"}}})
					if err != nil {
						t.Fatalf("%s: %s: %v", layout, path, err)
					}
					origintest.Same(t, layout+": "+path, r.Body, tarballOf(name, version))
					asked, tokens := m.requests()
					if want := of("", name, version); !slices.Equal(asked, []string{want}) || tokens[0] != "Bearer t" {
						t.Errorf("%s, %s, %s: asked for %q with %q; want %q", layout, state, path, asked, tokens, want)
					}
				}
			}
		}
	}
}

// Another origin is asked without the client's credential, and how it answers tells nothing
// of the master.
func TestTarballsElsewhere(t *testing.T) {
	for layout, of := range layoutsInTheWild {
		files := newKeeper(t, "@s/n", of)
		m := newKeeper(t, "@s/n", of)
		m.host = strings.Replace(files.URL, "127.0.0.1", "localhost", 1)
		m.layout = func(base, name, version string) string {
			if base == "" {
				return "-" // it has none itself
			}
			return of(base, name, version)
		}
		b := newBehind(t, []string{m.URL})
		for version, path := range b.given(t, "@s/n") {
			ask := pool.Request{Route: b.route(path), Header: http.Header{"Authorization": {"Bearer t"}, "Npm-Otp": {"1"}, "Cdn-Loop": {"before"}}}
			r, err := b.ask(t, ask)
			if err != nil {
				t.Fatalf("%s: %s: %v", layout, path, err)
			}
			origintest.Same(t, layout+": "+path, r.Body, tarballOf("@s/n", version))
			if asked, tokens := files.requests(); !slices.Equal(asked, []string{of("", "@s/n", version)}) || tokens[0] != "" {
				t.Errorf("%s: asked for %q with %q", layout, asked, tokens)
			}
		}
		files.fails = http.StatusServiceUnavailable
		for range 10 {
			for _, path := range b.given(t, "@s/n") {
				r, err := b.get(t, path)
				isUnavailable(t, err) // that it is missing cannot be told
				if r.Status != 0 {
					t.Errorf("%s: answered %d", layout, r.Status)
				}
			}
		}
		if s := b.masters.Status().Masters[0]; s.State != "healthy" {
			t.Errorf("%s: the master is %s: %s", layout, s.State, s.Why)
		}
	}
}

// A place elsewhere must be as public as a redirect's target, and where it cannot be
// reached the master itself may have the file.
func TestPlaceThatCannotBeReached(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, host := range []string{"http://" + closed.Addr().String(), "http://169.254.169.254", "http://10.255.255.1"} {
		m := newKeeper(t, "n", func(base, name, version string) string {
			if base == "" {
				return layoutsInTheWild["usual"](base, name, version)
			}
			return base + "/files/" + version + "/abc"
		})
		m.host = host
		b := newBehind(t, []string{m.URL})
		for version, path := range b.given(t, "n") {
			r, err := b.get(t, path)
			if err != nil {
				t.Fatalf("%s: %v", host, err)
			}
			origintest.Same(t, host, r.Body, tarballOf("n", version))
		}
	}
}

// A master that does not answer is replaced by another one: at the same path, or where its
// own packument says.
func TestTarballsOfAnotherMaster(t *testing.T) {
	for first, of := range layoutsInTheWild {
		for second, other := range layoutsInTheWild {
			if first == second && first != "digest" && first != "usual" || first != second && first != "usual" && second != "usual" && (first != "digest" || second != "tilde") {
				continue
			}
			a, b := newKeeper(t, "@s/n", of), newKeeper(t, "@s/n", other)
			edge := newBehind(t, []string{a.URL, b.URL})
			paths := edge.given(t, "@s/n")
			a.fails = http.StatusInternalServerError
			for version, path := range paths {
				for _, state := range []string{"by the list of the first", "by its own"} {
					if state == "by its own" {
						edge = newBehind(t, []string{a.URL, b.URL})
					}
					r, err := edge.get(t, path)
					if err != nil {
						t.Errorf("%s, then %s, %s: %s: %v", first, second, state, path, err)
						continue
					}
					origintest.Same(t, first+", then "+second+": "+path, r.Body, tarballOf("@s/n", version))
				}
			}
		}
	}
}

// A file that a packument names is missing when every usable master says so, and no sooner.
func TestListedFileIsMissingWhenAllSaySo(t *testing.T) {
	const has, gone, broken = 0, http.StatusNotFound, http.StatusInternalServerError
	for _, tt := range []struct {
		name    string
		masters []int // the primary first
		file    string
		want    int // 0 is unavailable
		asked   int // masters
	}{
		{"the replica has it", []int{gone, has}, "n-1.0.0.tgz", 200, 2},
		{"the last replica has it", []int{gone, http.StatusGone, has}, "n-1.0.0.tgz", 200, 3},
		{"nobody has it", []int{gone, gone, gone}, "n-1.0.0.tgz", 404, 3},
		{"the only master does not have it", []int{gone}, "n-1.0.0.tgz", 404, 1},
		{"one cannot tell", []int{gone, broken}, "n-1.0.0.tgz", 0, 2},
		{"one cannot tell, and one has it", []int{gone, broken, has}, "n-1.0.0.tgz", 200, 3},
		{"a file that is not listed", []int{gone, has}, "n-3.0.0.tgz", 404, 1},
	} {
		var urls []string
		var masters []*keeper
		for _, status := range tt.masters {
			m := newKeeper(t, "n", layoutsInTheWild["usual"])
			m.fails = status
			masters, urls = append(masters, m), append(urls, m.URL)
		}
		b := newBehind(t, urls)
		r, err := b.get(t, "/n/-/"+tt.file)
		if tt.want == 0 {
			isUnavailable(t, err)
		} else if err != nil || r.Status != tt.want {
			t.Errorf("%s: %d, %v; want %d", tt.name, r.Status, err, tt.want)
		}
		asked := 0
		for _, m := range masters {
			all, _ := m.requests()
			if asked += len(all); len(all) > 1 {
				t.Errorf("%s: one master was asked for %q", tt.name, all)
			}
		}
		if asked != tt.asked {
			t.Errorf("%s: %d masters were asked; want %d", tt.name, asked, tt.asked)
		}
	}
}

// Masters of files alone have a file in the usual place, or where the other masters have it.
func TestMastersOfFilesStandInForThePlace(t *testing.T) {
	for layout, of := range layoutsInTheWild {
		for _, mirror := range []string{"usual", layout} {
			m, files := newKeeper(t, "@s/n", of), newKeeper(t, "@s/n", layoutsInTheWild[mirror])
			b := newBehind(t, []string{m.URL}, filesFrom(t, files.URL), func(c *setup) { c.Others = origintest.URLs(t, []string{m.URL}) })
			for version, path := range b.given(t, "@s/n") {
				if mirror == "usual" && !strings.HasSuffix(path, "/n-"+version+".tgz") {
					continue // the mirror would need the name that clients are given
				}
				r, err := b.get(t, path)
				if err != nil || r.Status != 200 {
					t.Errorf("%s at a mirror that is %s: %s: %d, %v", layout, mirror, path, r.Status, err)
					continue
				}
				origintest.Same(t, path, r.Body, tarballOf("@s/n", version))
			}
			if asked, _ := m.requests(); len(asked) > 0 {
				t.Errorf("%s: the master of metadata was asked for %q", layout, asked)
			}
		}
	}
}
