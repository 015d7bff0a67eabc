package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pkgedge/edge/command"
	"pkgedge/edge/edgetest"
)

// elsewhere are the commands of documents that no block of this test runs, and where they are tried.
var elsewhere = map[string]string{
	"npx":       "edge/daemon/clients_test.go runs clients",
	"pnpm":      "edge/daemon/clients_test.go runs clients",
	"yarn":      "edge/daemon/clients_test.go runs clients",
	"bun":       "edge/daemon/clients_test.go runs clients",
	"kill":      "edge/upgrade_test.go sends it",
	"pidof":     "edge/upgrade_test.go knows the process",
	"openssl":   "it prints a random word",
	"sudoedit":  "an editor waits for somebody",
	"systemctl": "a machine of its own is needed",
}

// functions are the commands that a block runs in another way than a shell would. A server is not
// started: its command line is parsed, and its configuration checked.
const functions = `
failed() { echo "$1: exit code $2" >>"$FAILED"; return "$2"; }
command_not_found_handle() { failed "$1 is a command that this test does not know" 127; }
edge() { case "${1-}" in
	"" | serve) serve "$@" ;; --version | --help) run "$@" ;; -*) serve "$@" ;; *) run "$@" ;; esac; }
run() { command edge "$@" || failed "edge $*" $?; }
serve() { run "$@" --help >/dev/null && while (($#)); do [[ $1 != --config ]] || run check --config "$2"; shift; done; }
curl() { command curl -fsS "$@" || failed "curl $*" $?; }
go() { case "$*" in
	"run ./edge"*) shift 2; edge "$@" ;;
	"test ./..." | "test -race ./..." | "build -o edge-bin ./edge") ;;
	*) failed "go $*" 1 ;; esac; }
make() { grep -qE "^$1:.*## " "$ROOT/Makefile" || failed "make $*" 1; }
npm() { case "$*" in "config get registry") echo "$MASTER" ;; "publish "* | "install "*) ;; *) failed "npm $*" 1 ;; esac; }
dpkg() { [[ $* == "-i dist/edge_$(cat "$ROOT/edge/command/VERSION")_amd64.deb" ]] || failed "dpkg $*" 1; }
docker() { case "$1" in build | run) ;; compose) [[ -f $ROOT/$3 && ${EDGE_ADMIN_TOKEN+set} ]] || failed "docker $*" 1 ;; exec) shift 2; "$@" ;; *) failed "docker $*" 1 ;; esac; }
helm() { [[ $1 == install && -f $ROOT/$3/Chart.yaml ]] || failed "helm $*" 1; }
kubectl() { case "$1" in create) ;; exec) shift 3; "$@" ;; *) failed "kubectl $*" 1 ;; esac; }
sudo() { "$@"; }
`

// A fence is a block of a document between two lines of backquotes.
type fence struct {
	file     string
	line     int // of its first line
	language string
	text     string
}

var (
	opened = regexp.MustCompile("^ *```([a-z]*)$")
	span   = regexp.MustCompile("`[^`]+`")
)

// documents returns the texts for operators and contributors, without their blocks, and the blocks.
func documents(t *testing.T) (texts map[string]string, fences []fence) {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	texts = map[string]string{}
	for _, file := range append(files, "../README.md", "../CONTRIBUTING.md", "../ARCHITECTURE.md", "../SECURITY.md", "../CHANGELOG.md", "../bench/README.md") {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		var block *fence
		for i, line := range strings.Split(string(whole), "\n") {
			switch m := opened.FindStringSubmatch(line); {
			case block != nil && strings.TrimSpace(line) == "```":
				fences, block = append(fences, *block), nil
			case block != nil:
				block.text += line + "\n"
			case m != nil:
				block = &fence{file: file, line: i + 2, language: m[1]}
			default:
				text.WriteString(line)
			}
			text.WriteByte('\n') // so that lines keep their numbers
		}
		if block != nil {
			t.Errorf("%s:%d: this block does not end", file, block.line)
		}
		texts[file] = text.String()
	}
	return texts, fences
}

// documented is a running edge that blocks are run against.
func documented(t *testing.T) (n *node, master string) {
	t.Helper()
	n = newNode(t)
	scope := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"name": "@types/node", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"name": "@types/node", "version": "1.0.0", "dist": {}}}}`)
	}))
	t.Cleanup(scope.Close)
	text, err := os.ReadFile(n.config)
	if err != nil {
		t.Fatal(err)
	}
	edgetest.WriteFile(t, n.config, strings.Replace(string(text), "kind: npm }", `kind: npm, scopes: { "@types": { masters: [{ url: "`+scope.URL+`", role: primary }] } } }`, 1))
	n.start()
	var status struct {
		Sites []struct {
			Masters []struct {
				URL string `json:"url"`
			} `json:"masters"`
		} `json:"sites"`
	}
	if r, body, err := edgetest.GetText(t, http.DefaultClient, "http://"+n.plain+"/@types%2fnode"); err != nil || r.StatusCode != 200 {
		t.Fatal(r, body, err)
	}
	if _, body, err := edgetest.GetText(t, http.DefaultClient, "http://"+n.admin+"/status"); err != nil || json.Unmarshal([]byte(body), &status) != nil || len(status.Sites) == 0 {
		t.Fatal(body, err)
	}
	return n, status.Sites[0].Masters[0].URL
}

// Each block of commands runs as it stands, in a shell that has no other commands than those above.
func TestCommandsOfDocumentsRun(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here: ", err)
	}
	n, master := documented(t)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bin, etc := filepath.Join(dir, "bin"), filepath.Join(dir, "etc")
	for _, d := range []string{bin, etc} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range map[string]string{"edge": n.program, "cat": "", "cp": "", "mv": "", "grep": "", "curl": ""} {
		if file == "" {
			if file, err = exec.LookPath(name); err != nil {
				t.Skip("a command of the documents is not here: ", err)
			}
		}
		if err := os.Symlink(file, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	var prelude strings.Builder
	prelude.WriteString(functions)
	for name, where := range elsewhere {
		prelude.WriteString(name + "() { :; } # " + where + "\n")
	}
	edgetest.WriteFile(t, filepath.Join(dir, "functions"), prelude.String())
	packaged, err := os.ReadFile("../deploy/packages/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mine := strings.NewReplacer("listen: :8080", "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }", "/var/lib/edge", dir)
	edgetest.WriteFile(t, filepath.Join(etc, "config.yaml"), mine.Replace(string(packaged)))

	_, fences := documents(t)
	here := strings.NewReplacer("127.0.0.1:8080", n.plain, "127.0.0.1:8081", n.admin, "/etc/edge/", etc+"/", "/usr/local/bin/", bin+"/")
	blocks := 0
	for _, f := range fences {
		if f.language != "sh" {
			continue
		}
		blocks++
		work := t.TempDir()
		for _, file := range []string{".ci/run", ".ci/lint", "bench/all.sh"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(work, file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(work, file), []byte("#!"+bash+"\ntest -x \"$ROOT/"+file+"\"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		shipped, err := os.ReadFile("../config.yaml")
		if err != nil {
			t.Fatal(err)
		}
		edgetest.WriteFile(t, filepath.Join(work, "config.yaml"), string(shipped))
		if err := os.Symlink(n.program, filepath.Join(work, "edge")); err != nil { // the new binary
			t.Fatal(err)
		}
		edgetest.WriteFile(t, filepath.Join(work, "package-lock.json"), `{"lockfileVersion": 3, "packages": {"": {}}}`)
		failures := filepath.Join(work, "failures")
		// The block begins at its own line, so that the shell names lines of the document.
		script := ". '" + filepath.Join(dir, "functions") + "'" + strings.Repeat("\n", f.line-1) + here.Replace(f.text)
		run := exec.CommandContext(t.Context(), bash, "-e", "-c", script, f.file)
		run.Dir = work
		run.Env = []string{"PATH=" + bin, "HOME=" + work, "ROOT=" + root, "FAILED=" + failures, "MASTER=" + master, "TO=http://" + n.plain, "EDGE_ADMIN_URL=http://" + n.admin}
		out, err := run.CombinedOutput()
		failed, _ := os.ReadFile(failures)
		if err != nil || len(failed) > 0 {
			t.Errorf("%s:%d: %v\n%s%s", f.file, f.line, err, failed, out)
		}
	}
	if blocks < 12 {
		t.Errorf("%d blocks of commands", blocks)
	}
}

// parsed says why the edge does not understand a command line of a document, in which [--flag VALUE] may
// be left out, and of a|b the first is meant.
func parsed(t *testing.T, line string) string {
	line, _, _ = strings.Cut(line, " #")
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "...", " ", "…", " ", "'", "").Replace(line))
	for i, w := range words {
		words[i], _, _ = strings.Cut(w, "|")
	}
	var out, errs bytes.Buffer
	if command.Run(t.Context(), append(words[1:], "--help"), &out, &errs, edgetest.NoEnv) != 0 {
		return strings.TrimSpace(errs.String())
	}
	return ""
}

// A command within a sentence, or in a list of commands, exists with its flags and as many arguments.
func TestCommandLinesOfDocumentsExist(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	texts, fences := documents(t)
	known := map[string]string{}
	check := func(file string, line int, words string) {
		why, ok := known[words]
		switch first, rest, _ := strings.Cut(words, " "); {
		case ok:
		case first == "make" && !regexp.MustCompile(`(?m)^`+strings.Fields(rest)[0]+`:.*## `).Match(makefile):
			why = "the Makefile has no such target"
		case first == "edge":
			why = parsed(t, words)
		}
		known[words] = why
		if why != "" {
			t.Errorf("%s:%d: %s: %s", file, line, words, why)
		}
	}
	for file, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			for _, s := range span.FindAllString(line, -1) {
				if s = strings.Trim(s, "`"); strings.HasPrefix(s, "edge ") || strings.HasPrefix(s, "make ") {
					check(file, i+1, s)
				}
			}
		}
	}
	for _, f := range fences {
		if f.language == "text" {
			for i, line := range strings.Split(f.text, "\n") {
				if strings.HasPrefix(line, "edge ") {
					check(f.file, f.line+i, line)
				}
			}
		}
		if !slices.Contains([]string{"sh", "text", "yaml", "json", "nginx", "ini"}, f.language) {
			t.Errorf("%s:%d: a block of %q: sh is run, yaml is checked, text has commands that exist", f.file, f.line, f.language)
		}
	}
	if len(known) < 30 {
		t.Errorf("%d commands", len(known))
	}
}

// edge check takes each configuration in a document, also a part of one, in its place.
func TestConfigurationsOfDocumentsAreRight(t *testing.T) {
	secrets := map[string]string{}
	for _, name := range []string{"ACME_TOKEN", "EDGE_ADMIN_TOKEN", "EDGE_HOOK_SECRET", "EDGE_FLEET_TOKEN", "EDGE_FLEET_SEAL", "EDGE_STORE_KEY", "EDGE_STORE_SECRET"} {
		secrets[name] = "0123456789abcdef0123456789abcdef"
	}
	etc := t.TempDir()
	ca, _ := edgetest.MakePair(t, etc, "nats-ca")
	edgetest.WriteFile(t, filepath.Join(etc, "nats.creds"), "")
	_, fences := documents(t)
	blocks := 0
	for _, f := range fences {
		if f.language != "yaml" {
			continue
		}
		blocks++
		text := strings.NewReplacer("/etc/edge/nats-ca.pem", ca, "/etc/edge/", etc+"/").Replace(f.text)
		if strings.HasPrefix(text, "    ") {
			text = "sites:\n  - name: npm\n" + text
		}
		file := filepath.Join(t.TempDir(), "config.yaml")
		edgetest.WriteFile(t, file, text)
		var out, errs bytes.Buffer
		if code := command.Run(t.Context(), []string{"check", "--config", file}, &out, &errs, edgetest.EnvOf(secrets)); code != 0 {
			t.Errorf("%s:%d: %s", f.file, f.line, errs.String())
		}
	}
	if blocks < 8 {
		t.Errorf("%d configurations", blocks)
	}
}

// deploy/profiles has the files of docs/profiles.md, to be copied.
func TestProfilesAreInTheirFiles(t *testing.T) {
	_, fences := documents(t)
	fences = slices.DeleteFunc(fences, func(f fence) bool { return f.language != "yaml" || !strings.HasSuffix(f.file, "/profiles.md") })
	if len(fences) != 3 {
		t.Fatalf("%d profiles", len(fences))
	}
	for i, name := range []string{"mirror", "pop", "public"} {
		text, err := os.ReadFile("../deploy/profiles/" + name + ".yaml")
		if err != nil || string(text) != fences[i].text {
			t.Errorf("%s.yaml is not the file in %s:%d, %v", name, fences[i].file, fences[i].line, err)
		}
	}
}

// A link of a document leads to a file of the repository, and to a heading in it.
func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped := regexp.MustCompile(`[^a-z0-9 _-]`) // of a heading, in its anchor
	texts, _ := documents(t)
	anchors := map[string][]string{} // of the documents that links lead to
	anchorsOf := func(file string) ([]string, error) {
		if known, ok := anchors[file]; ok {
			return known, nil
		}
		info, err := os.Stat(file)
		if err != nil || info.IsDir() {
			return nil, err
		}
		whole, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all := []string{}
		for _, h := range heading.FindAllSubmatch(whole, -1) {
			all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(string(h[1])), ""), " ", "-"))
		}
		anchors[file] = all
		return all, nil
	}
	for file, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				path, anchor, _ := strings.Cut(m[1], "#")
				if strings.Contains(path, "://") {
					continue
				}
				to := file
				if path != "" {
					to = filepath.Join(filepath.Dir(file), path)
				}
				there, err := anchorsOf(to)
				if err != nil {
					t.Errorf("%s:%d: %s", file, i+1, err)
				} else if anchor != "" && !slices.Contains(there, anchor) {
					t.Errorf("%s:%d: %s has no heading %s", file, i+1, to, anchor)
				}
			}
		}
	}
}

// The table of the admin API has nothing but requests that are answered.
func TestAdminAPIIsAsDocumented(t *testing.T) {
	n, _ := documented(t)
	texts, _ := documents(t)
	row := regexp.MustCompile("(?m)^\\| `(GET|POST) (/[^`]*)`")
	rows := row.FindAllStringSubmatch(texts["../docs/operations.md"], -1)
	for _, m := range rows {
		method, path := m[1], strings.NewReplacer("{site}", "npm", "{n}", "1", "package=…", "package=edge-sample-app").Replace(m[2])
		body := map[string]string{"/purge": `{"package": "edge-sample-app"}`}[path]
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.admin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != 200 {
			t.Errorf("%s %s: %s", method, path, got.Status)
		}
	}
	if len(rows) < 9 {
		t.Errorf("%d requests", len(rows))
	}
}
