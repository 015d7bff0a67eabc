package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// The main job, as a user does it: a real npm client through a real edge, in
// front of the sample masters. Without npm these tests skip and say so.

// behind is an edge with two sample masters behind it.
type behind struct {
	url     string
	store   *sample.Store
	masters [2]*faults.Master
	servers [2]*sample.Server
}

func newBehind(t *testing.T, more ...string) *behind {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	b := &behind{store: store}
	for i := range b.masters {
		b.masters[i] = faults.NewMaster(store)
		if b.servers[i], err = b.masters[i].Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.servers[i].Close)
	}
	e := newTestEdge(t, fmt.Sprintf(`sites: [{ name: npm, probe: { every: 1h }, masters: [{ url: "%s", role: primary }, { url: "%s", role: replica }] }]`,
		b.servers[0].URL(), b.servers[1].URL())+"\n"+strings.Join(more, "\n"), true)
	b.url = e.cfg.PublicURL.String()
	serveEdge(t, e)
	return b
}

// reads counts the reads below a path at both masters.
func (b *behind) reads(prefix string) int {
	n := 0
	for _, m := range b.masters {
		n += m.Count(faults.All(faults.Prefix(prefix), faults.Method(http.MethodGet)))
	}
	return n
}

// npm is a user of the real client, with nothing of this machine's user.
type npm struct{ home, registry string }

func newNPM(t *testing.T, registry string) *npm {
	t.Helper()
	if testing.Short() {
		t.Skip("npm takes seconds: skipped by -short")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skipf("npm is not installed, so no client is tried: %v", err)
	}
	return &npm{t.TempDir(), registry}
}

// token gives the user a token, as a login leaves it.
func (n *npm) token(t *testing.T, token string) {
	t.Helper()
	line := "//" + strings.TrimPrefix(n.registry, "http://") + "/:_authToken=" + token + "\n"
	if err := os.WriteFile(filepath.Join(n.home, "user.npmrc"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs npm in a folder and returns its standard output.
func (n *npm) run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "npm", append(args, "--registry", n.registry+"/",
		"--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0")...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + n.home,
		"npm_config_cache=" + filepath.Join(n.home, "cache"),
		"npm_config_userconfig=" + filepath.Join(n.home, "user.npmrc"),
		"npm_config_globalconfig=" + filepath.Join(n.home, "global.npmrc"),
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("npm %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), err
}

func (n *npm) must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := n.run(t, dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// project makes a folder with a package.json.
func project(t *testing.T, manifest string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

const app = `{"name":"app","version":"1.0.0","dependencies":{"edge-sample-app":"*"}}`

func TestInstallSurvivesTheLossOfEveryMaster(t *testing.T) {
	t.Parallel()
	b := newBehind(t)
	first := newNPM(t, b.url)
	first.must(t, project(t, app), "install")
	if n := b.reads("/edge-sample-app"); n != 2 {
		t.Errorf("the masters were asked %d times for the app; want its packument and its tarball once each", n)
	}
	before := b.reads("/")
	newNPM(t, b.url).must(t, project(t, app), "install")
	if n := b.reads("/"); n != before {
		t.Errorf("a second install asked the masters %d times", n-before)
	}
	for _, s := range b.servers {
		s.Refuse()
	}
	dir := project(t, app)
	newNPM(t, b.url).must(t, dir, "install")
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "node_modules", "edge-sample-app", "bin", "cli.js")).Output()
	if err != nil || len(out) == 0 {
		t.Errorf("the installed app does not run: %q, %v", out, err)
	}
	if _, err := newNPM(t, b.url).run(t, project(t, `{"name":"app","dependencies":{"never-seen":"1"}}`), "install"); err == nil || !strings.Contains(err.Error(), "refused the connection, and no copy is stored here") {
		t.Errorf("a package never seen, with every master down: %v", err)
	}
}

func TestWriterReadsItsOwnWrites(t *testing.T) {
	t.Parallel()
	b := newBehind(t)
	user := newNPM(t, b.url)
	user.token(t, b.store.Grant("alice"))
	if who := strings.TrimSpace(user.must(t, t.TempDir(), "whoami")); who != "alice" {
		t.Errorf("whoami is %q", who)
	}
	anyone := newNPM(t, b.url)
	version := func(want string) {
		t.Helper()
		if got := strings.TrimSpace(anyone.must(t, t.TempDir(), "view", "edge-mine", "version", "--prefer-online")); got != want {
			t.Errorf("the latest version is %q; want %q", got, want)
		}
	}
	mine := project(t, `{"name":"edge-mine","version":"1.0.0"}`)
	user.must(t, mine, "publish")
	version("1.0.0")
	user.must(t, mine, "version", "1.1.0")
	user.must(t, mine, "publish")
	version("1.1.0")
	user.must(t, mine, "dist-tag", "add", "edge-mine@1.0.0", "latest")
	version("1.0.0")
	user.must(t, mine, "deprecate", "edge-mine@1.0.0", "use the newer one")
	if got := anyone.must(t, t.TempDir(), "view", "edge-mine@1.0.0", "deprecated", "--prefer-online"); !strings.Contains(got, "use the newer one") {
		t.Errorf("deprecated is %q", got)
	}
	user.must(t, mine, "unpublish", "--force", "edge-mine@1.1.0")
	if got := anyone.must(t, t.TempDir(), "view", "edge-mine", "versions", "--json", "--prefer-online"); strings.Contains(got, "1.1.0") {
		t.Errorf("versions are %s after the unpublish", got)
	}
	if n := b.masters[1].Count(func(r faults.Record) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }); n != 0 {
		t.Errorf("the replica got %d writes", n)
	}
}

func TestPrivatePackageNeverLeaks(t *testing.T) {
	t.Parallel()
	b := newBehind(t)
	name := sample.PrivateScope + "/secret"
	if err := b.store.AddPackage(name, sample.Version{Number: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	user := newNPM(t, b.url)
	user.token(t, b.store.Grant("alice"))
	user.must(t, project(t, fmt.Sprintf(`{"name":"app","dependencies":{%q:"1"}}`, name)), "install")
	for _, path := range []string{"/" + name, "/" + name + "/-/secret-1.0.0.tgz", "/" + name + "/1.0.0"} {
		resp, err := http.Get(b.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode < 400 || json.Valid(body) && strings.Contains(string(body), "1.0.0") {
			t.Errorf("GET %s without a token: %d %.80s", path, resp.StatusCode, body)
		}
	}
}

// as asks for a path with a token, "" for none.
func (b *behind) as(t *testing.T, token, method, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// Not even a master that calls a private answer public makes it so: the answer to a
// credential is for no other.
func TestAnswersToACredentialAreNotShared(t *testing.T) {
	b := newBehind(t)
	name := sample.PrivateScope + "/secret"
	if err := b.store.AddPackage(name, sample.Version{Number: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	for _, m := range b.masters {
		m.Break(faults.Prefix("/"+name), faults.Set("Cache-Control", "public, max-age=3600"))
	}
	alice, bob := b.store.Grant("alice"), b.store.Grant("bob")
	for _, path := range []string{"/" + name, "/" + name + "/-/secret-1.0.0.tgz"} {
		for i, token := range []string{alice, bob, alice} {
			before := b.reads(path)
			if status, _ := b.as(t, token, http.MethodGet, path); status != http.StatusOK {
				t.Fatalf("GET %s with a token: %d", path, status)
			}
			if b.reads(path) == before {
				t.Errorf("GET %s, request %d with a token: no master was asked", path, i+1)
			}
		}
		if status, body := b.as(t, "", http.MethodGet, path); status < 400 {
			t.Errorf("GET %s without a token: %d, %d bytes", path, status, len(body))
		}
	}
}

func TestWhatIsUnknownCostsMuch(t *testing.T) {
	for _, tt := range []struct {
		what, method, path string
		down, much         bool
	}{
		{"a package that is fetched", http.MethodGet, "/edge-sample-app", false, false},
		{"a name that does not exist", http.MethodGet, "/never-seen", false, true},
		{"a name with every master down", http.MethodGet, "/never-seen", true, false},
		{"a version that does not exist", http.MethodGet, "/edge-sample-app/99.0.0", false, false}, // just fetched
		{"a request that is passed", http.MethodGet, "/-/whoami", false, true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			b := newBehind(t, "limits: { rate: 0.001, burst: 10 }")
			if tt.down {
				for _, s := range b.servers {
					s.Refuse()
				}
			}
			if status, _ := b.as(t, "", tt.method, tt.path); status == http.StatusTooManyRequests {
				t.Fatal("limited at once")
			}
			if status, _ := b.as(t, "", http.MethodGet, "/-/ping"); (status == http.StatusTooManyRequests) != tt.much {
				t.Errorf("the next request gets %d of a budget of one miss", status)
			}
		})
	}
}
