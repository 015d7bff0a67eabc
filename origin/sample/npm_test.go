package sample_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

// npm runs the real client, with nothing of the user's: home, cache, prefix
// and configuration are of the test.
type npm struct {
	home string
	url  string
}

func newNPM(t *testing.T, url string) npm {
	t.Helper()
	if testing.Short() {
		t.Skip("npm takes seconds: skipped by -short")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skipf("npm is not installed: %v", err)
	}
	return npm{home: t.TempDir(), url: url}
}

// run runs npm in a folder and returns its standard output.
func (n npm) run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := n.command(t, dir, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Logf("npm %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), err
}

func (n npm) command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "npm", append(args, "--registry", n.url+"/",
		"--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0")...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + n.home,
		"npm_config_cache=" + filepath.Join(n.home, "cache"),
		"npm_config_prefix=" + filepath.Join(n.home, "prefix"),
		"npm_config_userconfig=" + filepath.Join(n.home, "user.npmrc"),
		"npm_config_globalconfig=" + filepath.Join(n.home, "global.npmrc"),
	}
	return cmd
}

// login answers the questions of npm login, each when it is asked.
func (n npm) login(t *testing.T, dir, user, password string) {
	t.Helper()
	cmd := n.command(t, dir, "login")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	asked := bufio.NewReader(out)
	for _, answer := range []string{user, password} {
		if _, err := asked.ReadString(':'); err != nil {
			break // npm ended; Wait says how
		}
		io.WriteString(in, answer+"\n")
	}
	rest, _ := io.ReadAll(asked)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("npm login: %v\n%s", err, rest)
	}
}

func (n npm) must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := n.run(t, dir, args...)
	if err != nil {
		t.Fatalf("npm %s failed", args[0])
	}
	return out
}

// token puts a token for the registry into the user's configuration.
func (n npm) token(t *testing.T, token string) {
	t.Helper()
	line := strings.TrimPrefix(n.url, "http:") + "/:_authToken=" + token + "\n"
	write(t, filepath.Join(n.home, "user.npmrc"), line)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNPMInstallsTheSampleApp(t *testing.T) {
	m, s := serve(t, samples(t))
	n := newNPM(t, s.URL())
	dir := t.TempDir()
	write(t, filepath.Join(dir, "package.json"), `{"name":"demo","version":"1.0.0","private":true}`)
	n.must(t, dir, "install", "edge-sample-app")
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "node_modules", ".bin", "edge-sample")).Output()
	if err != nil || string(out) != "hello, edge\n" {
		t.Errorf("edge-sample printed %q, %v", out, err)
	}
	if got := m.Count(faults.Suffix(".tgz")); got != 5 {
		t.Errorf("%d tarballs were fetched, want 5", got)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Resolved, Integrity string } `json:"packages"`
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		t.Fatal(err)
	}
	for path, p := range lock.Packages {
		if path != "" && (!strings.HasPrefix(p.Resolved, s.URL()+"/") || !strings.HasPrefix(p.Integrity, "sha512-")) {
			t.Errorf("%s is locked as %+v", path, p)
		}
	}
}

func TestNPMRefusesAFlippedByte(t *testing.T) {
	m, s := serve(t, samples(t))
	n := newNPM(t, s.URL())
	dir := t.TempDir()
	write(t, filepath.Join(dir, "package.json"), `{"name":"demo","version":"1.0.0","private":true}`)
	m.Break(faults.Suffix("payload-1.0.0.tgz"), faults.FlipByte(1000))
	if _, err := n.run(t, dir, "install", "edge-sample-payload"); err == nil {
		t.Error("npm took a tarball with another digest")
	}
}

func TestNPMPublishesDeprecatesTagsAndUnpublishes(t *testing.T) {
	store := samples(t)
	m, s := serve(t, store)
	n := newNPM(t, s.URL())
	c := client(t)
	dir := t.TempDir()
	pack := func(name, number string) {
		t.Helper()
		write(t, filepath.Join(dir, "package.json"), `{"name":"`+name+`","version":"`+number+`","description":"by npm <1&2>"}`)
		n.must(t, dir, "publish", "--access=public")
	}
	get := func(name string) packument {
		t.Helper()
		return decode[packument](t, send(t, c, "GET", s.URL()+"/"+name, "").body)
	}
	n.token(t, store.Grant("maker"))
	if got := strings.TrimSpace(n.must(t, dir, "whoami")); got != "maker" {
		t.Errorf("whoami is %q", got)
	}

	for _, name := range []string{"made-by-npm", "@edge-sample/made-by-npm"} {
		pack(name, "1.0.0")
		pack(name, "1.0.1")
		doc := get(name)
		if doc.Tags["latest"] != "1.0.1" || len(doc.Versions) != 2 {
			t.Fatalf("%s after publish: %+v", name, doc)
		}
		where := doc.Versions["1.0.0"].Dist.Tarball
		if got := send(t, c, "GET", where, ""); tarball.Integrity(got.body) != doc.Versions["1.0.0"].Dist.Integrity {
			t.Errorf("%s: %d, with other bytes", where, got.status)
		}

		n.must(t, dir, "deprecate", name+"@1.0.0", "use the next one")
		if got := get(name).Versions; got["1.0.0"].Deprecated != "use the next one" || got["1.0.1"].Deprecated != "" {
			t.Errorf("after deprecate: %+v", got)
		}
		if m.Count(func(r faults.Record) bool { return r.Path == "/"+name && r.Query == "write=true" }) == 0 {
			t.Error("npm never read the document to write it")
		}

		n.must(t, dir, "dist-tag", "add", name+"@1.0.0", "old")
		if got := get(name).Tags["old"]; got != "1.0.0" {
			t.Errorf("tag old is %q", got)
		}
		n.must(t, dir, "dist-tag", "rm", name, "old")
		if got, ok := get(name).Tags["old"]; ok {
			t.Errorf("tag old is still %q", got)
		}

		if _, err := n.run(t, dir, "publish", "--access=public"); err == nil {
			t.Error("npm published over a version")
		}

		n.must(t, dir, "unpublish", name+"@1.0.1", "--force")
		if doc := get(name); len(doc.Versions) != 1 || doc.Tags["latest"] != "1.0.0" {
			t.Errorf("after unpublish: %+v", doc)
		}
		if got := send(t, c, "GET", strings.Replace(where, "1.0.0.tgz", "1.0.1.tgz", 1), ""); got.status != 404 {
			t.Errorf("the unpublished tarball: %d", got.status)
		}
		n.must(t, dir, "unpublish", name, "--force")
		for _, url := range []string{s.URL() + "/" + name, where} {
			if got := send(t, c, "GET", url, ""); got.status != 404 {
				t.Errorf("%s after unpublish: %d", url, got.status)
			}
		}
	}

	n.must(t, dir, "logout")
	if _, err := n.run(t, dir, "whoami"); err == nil {
		t.Error("npm is still logged in")
	}
}

func TestNPMFallsBackToTheLoginOfCouchDB(t *testing.T) {
	m, s := serve(t, samples(t))
	n := newNPM(t, s.URL())
	dir := t.TempDir()
	n.login(t, dir, "maker", "secret")
	if got := strings.TrimSpace(n.must(t, dir, "whoami")); got != "maker" {
		t.Errorf("whoami is %q", got)
	}
	if m.Count(faults.All(faults.Method("PUT"), faults.Path("/-/user/org.couchdb.user:maker"))) != 1 {
		t.Errorf("npm asked %v", m.Counts())
	}
}
