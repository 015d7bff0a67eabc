package daemon

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// node-gyp and corepack as a user runs them, through a real edge, with nothing
// but loopback. Where they are not installed these tests skip and say so.

// archive packs files, by their paths.
func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	w := tar.NewWriter(zw)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(files[path]))}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(files[path]))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// installed returns the real path of a client, or skips.
func installed(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s takes seconds: skipped by -short", name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed, so it is not tried: %v", name, err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// runScript runs a client in a home of its own.
func runScript(t *testing.T, script string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// nodeGyp finds the one that is installed by itself, or npm's own.
func nodeGyp(t *testing.T) string {
	t.Helper()
	installed(t, "node")
	if path, err := exec.LookPath("node-gyp"); err == nil {
		return path
	}
	npm := installed(t, "npm")
	path := filepath.Join(filepath.Dir(npm), "..", "node_modules", "node-gyp", "bin", "node-gyp.js")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("npm has no node-gyp of its own, so it is not tried: %v", err)
	}
	return path
}

func TestNodeGypGetsItsHeaders(t *testing.T) {
	t.Parallel()
	script := nodeGyp(t)
	s, a, b := newDist(t)
	const file, header = "node-v20.1.0-headers.tar.gz", "#define NODE 20\n"
	for _, tr := range []*tree{a, b} {
		tr.release("v20.1.0", file, archive(t, map[string]string{
			"node-v20.1.0/include/node/node.h": header, "node-v20.1.0/include/node/common.gypi": "{}\n",
		}))
	}
	a.put("/v20.1.0/"+file, archive(t, map[string]string{"node-v20.1.0/include/node/node.h": "#define NODE 0\n"}))
	install := func(how string) {
		t.Helper()
		devdir := t.TempDir()
		out, err := runScript(t, script, nil, "install", "--target=20.1.0", "--dist-url="+s.url, "--devdir="+devdir)
		got, _ := os.ReadFile(filepath.Join(devdir, "20.1.0", "include", "node", "node.h"))
		if err != nil || string(got) != header {
			t.Fatalf("%s: %v, node.h is %q\n%s", how, err, got, out)
		}
	}
	install("with wrong headers at one master")
	install("again")
	a.server.Close()
	b.server.Close()
	install("with every master down")
}

func TestCorepackRunsASignedPackageManager(t *testing.T) {
	t.Parallel()
	script := installed(t, "corepack")
	installed(t, "node")
	const name, version, says = "pnpm", "9.15.0", "as it was published\n"
	tarball := archive(t, map[string]string{
		"package/package.json": `{"name":"pnpm","version":"9.15.0","bin":{"pnpm":"bin/pnpm.cjs"}}`,
		"package/bin/pnpm.cjs": fmt.Sprintf("process.stdout.write(%q)\n", says),
	})
	digest := sha512.Sum512([]byte(tarball))
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(digest[:])
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	signed := sha256.Sum256([]byte(name + "@" + version + ":" + integrity))
	sig, err := ecdsa.SignASN1(rand.Reader, key, signed[:])
	if err != nil {
		t.Fatal(err)
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	type object = map[string]any
	keys := encode(object{"npm": []object{{"keyid": "SHA256:test", "key": base64.StdEncoding.EncodeToString(public)}}})

	tr := newTree(t)
	tr.put("/pnpm/-/pnpm-9.15.0.tgz", tarball)
	tr.put("/pnpm", encode(object{
		"name": name, "dist-tags": object{"latest": version}, "time": object{"modified": "2026-01-01T00:00:00.000Z", version: "2026-01-01T00:00:00.000Z"},
		"versions": object{version: object{"name": name, "version": version, "bin": object{"pnpm": "bin/pnpm.cjs"}, "dist": object{
			"tarball": tr.server.URL + "/pnpm/-/pnpm-9.15.0.tgz", "integrity": integrity,
			"signatures": []object{{"keyid": "SHA256:test", "sig": base64.StdEncoding.EncodeToString(sig)}},
		}}},
	}))
	e := newTestEdge(t, fmt.Sprintf("sites: [{ name: npm, masters: [{ url: %q, role: primary }] }]", tr.server.URL), true)
	serveEdge(t, e)
	run := func(how string) {
		t.Helper()
		out, err := runScript(t, script, []string{
			"COREPACK_HOME=" + t.TempDir(), "COREPACK_NPM_REGISTRY=" + strings.TrimSuffix(e.cfg.PublicURL.String(), "/"),
			"COREPACK_INTEGRITY_KEYS=" + keys, "COREPACK_ENABLE_DOWNLOAD_PROMPT=0", "COREPACK_DEFAULT_TO_LATEST=0",
		}, name+"@"+version)
		if err != nil || out != says {
			t.Fatalf("%s: %v\n%s", how, err, out)
		}
	}
	run("at first")
	asked := tr.count("/pnpm") + tr.count("/pnpm/-/pnpm-9.15.0.tgz")
	if asked != 2 {
		t.Errorf("the master was asked %d times; want 2: the packument and the tarball", asked)
	}
	run("again")
	tr.server.Close()
	run("with every master down")
}
