package command

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestCompletionNamesEveryCommandAndFlag(t *testing.T) {
	for shell, want := range map[string][]string{
		"bash": {"purge) words=' --all --site --soft --wait --dry-run --json --admin --token --help --version'", "--config) COMPREPLY=($(compgen -f", "completion) words='bash zsh fish "},
		"zsh":  {"'why:Say how", `'--config=[Configuration. Default\: config.yaml here, else the built-in one.]:file:_files'`, "'*:file:_files'", "'1: :(bash zsh fish)'"},
		"fish": {"-a why -d 'Say how", "__fish_seen_subcommand_from check' -l config -r -F", "__fish_seen_subcommand_from warm' -F", "-a 'bash zsh fish'"},
	} {
		code, script, stderr := command(t, nil, "completion", shell)
		if code != exitOK || stderr != "" {
			t.Errorf("%s: exit code %d, %s", shell, code, stderr)
		}
		for _, w := range want {
			if !strings.Contains(script, w) {
				t.Errorf("%s: no %s in\n%s", shell, w, script)
			}
		}
		if path, err := exec.LookPath(shell); err == nil {
			parse := exec.Command(path, "-n")
			parse.Stdin = strings.NewReader(script)
			if out, err := parse.CombinedOutput(); err != nil {
				t.Errorf("%s cannot read it: %v, %s", shell, err, out)
			}
		}
	}
	if code, _, stderr := command(t, nil, "completion", "csh"); code != exitUsage || !strings.Contains(stderr, `"bash","zsh","fish"`) {
		t.Errorf("another shell: exit code %d, %s", code, stderr)
	}
}

func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here: ", err)
	}
	_, script, _ := command(t, nil, "completion", "bash")
	for line, want := range map[string]string{
		"edge pu":             "purge",
		"edge purge --s":      "--site --soft",
		"edge help un":        "undrain",
		"edge purge --site x": "",
		"edge --v":            "--version",
	} {
		words := strings.Fields(line)
		out, err := exec.Command(bash, "-c", script+"\nCOMP_WORDS=("+line+"); COMP_CWORD="+string(rune('0'+len(words)-1))+"; _edge; echo ${COMPREPLY[*]}").Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

func TestManualPage(t *testing.T) {
	code, page, stderr := command(t, nil, "man")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{".SS purge ", ".B \\-\\-dry\\-run", ".SH EXIT STATUS", "EDGE_ADMIN_TOKEN"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	requests := []string{".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".I"}
	for line := range strings.Lines(page) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !slices.Contains(requests, name) {
			t.Errorf("troff takes this for a request: %s", line)
		}
	}
}
